"""`tapehouse serve NAME`: what the supervisor runs; each service is handed its settings as values."""

from typing import Annotated

import typer

SERVICES = ("warehouse", "pages", "replay", "collector-VENUE", "streams", "alert-stream", "latest")


def add(app: typer.Typer) -> None:
    """Add the command, hidden: people type `tapehouse up`."""
    app.command(hidden=True)(serve)


def serve(name: Annotated[str, typer.Argument(metavar="|".join(SERVICES))]) -> None:
    """Run one service in the foreground until it is told to stop."""
    from orchestration.values import read_settings

    settings = read_settings()
    match name:
        case "warehouse":
            from deploy.warehouse_server.main import serve as serve_warehouse

            serve_warehouse(settings.data_dir / "warehouse", "127.0.0.1", settings.port("warehouse"))
        case "pages":
            from serving.pages import serve as serve_pages

            serve_pages(settings.pages, settings.port("pages"))
        case "streams":
            from orchestration.settings import BARS_QUERY
            from spark.main import serve as serve_streams

            serve_streams(settings.streams, settings.spark, BARS_QUERY, settings.port("streams"))
        case "alert-stream":
            from spark.alert_main import serve as serve_alerts

            serve_alerts(settings.alerts, settings.alert_spark, settings.port("alert-stream"))
        case "latest":
            from quality.receivers import text_senders
            from serving.main import serve as serve_latest

            senders = text_senders(settings.market_alert_urls, "market_alert_urls")
            serve_latest(settings.latest, settings.telling, senders, settings.port("latest"))
        case "replay":
            from sources.demo import TAPES
            from sources.replay.main import serve as serve_replay

            tapes = [TAPES[venue] for venue in settings.venues if venue in TAPES]
            raise typer.Exit(serve_replay(settings.port("replay"), tapes))
        case _ if name.startswith("collector-"):
            from orchestration.feeds import collector_settings
            from sources.collector.main import serve as serve_collector

            raise typer.Exit(serve_collector(collector_settings(settings, name.removeprefix("collector-"))))
        case _:
            raise typer.BadParameter(f"{name!r} is no service; there are: {', '.join(SERVICES)}")
