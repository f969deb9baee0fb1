"""wfgen: the command line.

One module a command. A command's module is imported when the command is asked for, and imports the heavy parts of
wfgen (pydantic, LibCST, Jinja) inside its functions: `wfgen --version` loads none of them.
"""

__version__ = "0.1.0"

__all__ = ["__version__"]
