"""`python -m message_passing` is the command `message-passing`."""

import sys

if __name__ == "__main__" and not sys.flags.safe_path:
    # `-m` has put the working directory first (docs.python.org/3/using/cmdline.html#cmdoption-m): a module that lies
    # there is not to be taken for one of ours, or of what we need.
    del sys.path[0]

from message_passing.cli.main import main

main()
