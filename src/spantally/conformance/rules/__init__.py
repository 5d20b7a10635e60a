"""The rules: each a small pure function from a thing to what is wrong with it, with an id and a source."""
