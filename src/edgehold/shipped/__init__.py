"""Files that come with the package, each named by path and digest in a module of its own."""
