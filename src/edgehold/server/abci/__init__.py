"""The application under CometBFT: a replica behind a unix socket, in the words of ABCI 2.0."""
