"""The command line: typed rows of the queries become text, tables and JSON; nothing is computed here.

click and rich are imported only in this room, and rich only inside the functions that draw.
"""
