"""`spantally graph SESSION`: who called whom in a session."""

from __future__ import annotations

import click

from spantally.cli.options import SESSION_HELP, as_json, meant_session, newest_session


@click.command(epilog=SESSION_HELP)
@click.argument("session", required=False)
@newest_session
@click.option("--mermaid", is_flag=True, help="A Mermaid flowchart, which Markdown viewers draw (default).")
@click.option("--dot", is_flag=True, help="A digraph for Graphviz: spantally graph SESSION --dot | dot -Tsvg")
@as_json
@click.pass_obj
def graph(
    explicit: str | None, /, session: str | None, newest: bool, mermaid: bool, dot: bool, as_json: bool
) -> None:
    """Draw the agents, tools and models of a session, and who called whom.

    Nodes and edges carry calls, cost, errors and the 50th and 95th percentile of their durations.
    """
    if mermaid + dot + as_json > 1:
        raise click.UsageError("give one of --json, --mermaid and --dot")
    from spantally.cli.find import one_session

    meant = meant_session(session, newest=newest)
    made = one_session(explicit, meant, lambda ledger, session_id: ledger.graph(session_id))
    if as_json:
        from spantally.cli.jsonout import print_array
        from spantally.cli.overviewjson import graph_object

        print_array([graph_object(made)])
        return
    from spantally.cli.render.output import write

    write(made.to_dot() if dot else made.to_mermaid())
