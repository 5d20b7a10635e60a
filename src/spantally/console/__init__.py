"""The live view: what agents, calls and tools do, line by line on stderr, written by a thread of its own."""
