"""Where finished spans go beside the providers' own exporters: each sink on a thread of its own."""
