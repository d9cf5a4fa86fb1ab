"""`python -m edgehold.sandbox`: prepare the program runtime on this machine, so that no later command has to wait for it."""

from edgehold.sandbox.compiled import default_cache, prepare_runtime

prepare_runtime(default_cache(), lambda line: print(line, flush=True))
