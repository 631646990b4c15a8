"""The words of the command line: one .lark file per part; they are read as one grammar, in the order of their names."""
