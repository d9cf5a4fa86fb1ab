"""The reference implementation of WFDB, whose import warns of what its own libraries will change."""

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import wfdb

__all__ = ["wfdb"]
