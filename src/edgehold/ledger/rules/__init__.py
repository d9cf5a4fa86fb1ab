"""The rules, one function a transaction: each reads, refuses, and returns what to write."""
