"""What there is to generate: OpInfo operators, their families, the overloads they dispatch and the reference set."""
