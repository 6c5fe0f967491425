"""One reader for each format: text in, blocks out; none of them touches a file or the network."""
