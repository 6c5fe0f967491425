"""The loop and its words: what every optimizer shares, and nothing about any one of them."""
