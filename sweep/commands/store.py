"""`sync` and `ui`: the tracking store of a study, brought in line and looked at."""

import argparse
import json
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import asdict
from pathlib import Path
from typing import Final, NoReturn

from sweep.errors import EXIT_DONE, ResourceError
from sweep.progress import talk
from sweep.studyfolder import find_study, read_place

HOST: Final = "127.0.0.1"
START_TIMEOUT_S: Final = 90.0
STOP_TIMEOUT_S: Final = 10.0
POLL_S: Final = 0.25


def sync(options: argparse.Namespace) -> int:
    """Run the command `sync`."""
    folder = find_study(options.runs_dir, options.study)
    from sweep.tracking import sync as sync_runs

    report = asdict(sync_runs(folder))
    if options.json:
        print(json.dumps({"study": folder.name, "runs": report}))
    else:
        words = ", ".join(f"{count} {what}" for what, count in report.items())
        sys.stdout.write(f"{folder.name}: {words}\n")
    return EXIT_DONE


def ui(options: argparse.Namespace) -> int:
    """Run the command `ui`: serve until interrupted."""
    folder = find_study(options.runs_dir, options.study)
    from sweep.tracking import UI_PORT, start_ui, ui_command

    ui_command(folder, options.port)  # refuses what cannot be served, before anything is started
    _require_free(options.port)
    signal.signal(signal.SIGTERM, _interrupt)
    server = start_ui(folder, options.port)
    try:
        _wait_until_up(server, options.port, folder)
        base = f"http://{HOST}:{options.port}"
        url = (read_place(folder)["url"] or base).replace(f"http://{HOST}:{UI_PORT}", base, 1)
        if options.json:
            print(json.dumps({"study": folder.name, "url": url, "pid": server.pid}), flush=True)
        else:
            print(url, flush=True)
        talk("the table shows parameters and metrics under Columns; Ctrl-C ends the server")
        server.wait()
        raise ResourceError(f"The server has ended; see {folder / 'logs' / 'ui.log'}")
    except KeyboardInterrupt:
        return EXIT_DONE
    finally:
        _stop(server)


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _require_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            message = f"Port {port} of {HOST} cannot be used: {error.strerror}"
            raise ResourceError(f"{message}; choose another with --port") from error


def _wait_until_up(server: "subprocess.Popen[bytes]", port: int, folder: Path) -> None:
    log = folder / "logs" / "ui.log"
    deadline_s = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline_s:
        if server.poll() is not None:
            raise ResourceError(f"The server did not start (exit code {server.returncode}): {log}")
        try:
            with urllib.request.urlopen(f"http://{HOST}:{port}/health", timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(POLL_S)
    raise ResourceError(f"The server does not answer after {START_TIMEOUT_S:.0f} s: {log}")


def _stop(server: "subprocess.Popen[bytes]") -> None:
    if server.poll() is None:
        server.terminate()
        try:
            server.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
