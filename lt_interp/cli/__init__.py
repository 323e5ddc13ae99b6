"""The command line: typer for what is asked, rich for what is shown; nothing else lives here.

Only standard output carries results. Progress, notes and errors go to standard error.
"""
