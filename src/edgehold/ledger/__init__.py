"""The rules of the ledger: pure functions from a state and a signed request to what is to be written, or a refusal."""
