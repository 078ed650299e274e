"""One file per verb of ``python -m mvae``; each is imported only when its verb is asked for.

A verb module has ``HELP`` (one line), ``configure(parser)`` and ``run(args) -> dict | None``; what ``run`` returns is printed as
one JSON object where ``--json`` is given.
"""
