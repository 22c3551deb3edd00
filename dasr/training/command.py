"""`dasr learner` (started by `dasr train`) and `dasr evaluate`."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from typing import TYPE_CHECKING

import click

from dasr import completion
from dasr import config as configuration
from dasr.config import Config, Run
from dasr.errors import UserError, of_system
from dasr.results.layout import Layout

if TYPE_CHECKING:
    from dasr.launch.membership import Membership

logger = logging.getLogger(__name__)

# Of a collective: who hangs is the coordinator's to judge (--hang-seconds in which the job could run)
PATIENCE_S = 86_400.0


@click.command()
@click.argument("run", shell_complete=completion.runs)
@click.option("--config", "config_path", default="config.yaml", show_default=True, help="The configuration.")
def learner(run: str, config_path: str) -> None:
    """Be one learner of RUN: rank, size, device and the store's address come from the environment.

    Ends with status 75 when all were asked to stop and everything is saved."""
    from dasr.launch.membership import EXIT_DONE, EXIT_SAVED, Membership, exit_now

    rank = -1
    try:
        membership = Membership.from_environment()
        rank = membership.rank
        config = configuration.load(config_path)
        finished = _learn(membership, config, configuration.find_run(config, run))
    except Exception as error:
        exit_now(_tell(error, rank, run, config_path))
    if not finished:
        logger.info("stopped as asked, everything is saved")
    exit_now(EXIT_DONE if finished else EXIT_SAVED)


def _tell(error: Exception, rank: int, run: str, config_path: str) -> int:
    """Say in the log what ended this learner; the exit status for it."""
    from dasr.launch.membership import EXIT_MISTAKE, EXIT_PEER_LOST, EXIT_RAISED
    from dasr.launch.raised import keep_traceback, traceback_file
    from dasr.worlds.interface import PeerLost

    if mistake := _mistake(error):
        with contextlib.suppress(OSError):  # a full disk may be the mistake
            print(f"dasr: error: {mistake}", file=sys.stderr)
        return EXIT_MISTAKE
    if isinstance(error, PeerLost):
        late = "the others have gone on without it"
        logger.info(f"learner {rank} ends: {late if error.rank == rank else error}")
        return EXIT_PEER_LOST
    path = traceback_file(Layout.of(configuration.load(config_path)).run(run), rank)
    with contextlib.suppress(OSError):
        keep_traceback(error, path)
    logger.info(f"learner {rank} ends with an exception: see {path}")
    return EXIT_RAISED


def _mistake(error: Exception) -> UserError | None:
    """What the user should know, where it is not a fault of the program."""
    if isinstance(error, UserError):
        return error
    return of_system(error) if isinstance(error, OSError) else None


def _learn(membership: Membership, config: Config, run: Run) -> bool:
    """True when the budget is spent, False when all were asked to stop."""
    import torch

    from dasr.launch.membership import HeartbeatSender
    from dasr.training.run import train
    from dasr.worlds.interface import PeerLost
    from dasr.worlds.process.world import connect

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    if membership.device.startswith("cuda"):
        torch.cuda.set_device(membership.device)
    device = membership.device
    with HeartbeatSender(membership) as heartbeats:
        try:
            world = connect(
                membership.store(),
                membership.rank,
                membership.size,
                membership.nodes,
                device,
                PATIENCE_S,
                membership.secret,
            )
            training = train(
                world,
                config,
                run,
                device,
                lambda: heartbeats.stop_requested,
                heartbeats.at,
                membership.replacement,
            )
            finished = world.run(training)
            world.close()
        except PeerLost:
            raise
        except Exception as error:
            heartbeats.tell_exception(_mistake(error) or error)
            raise
    return finished


@click.command()
@click.argument("run", shell_complete=completion.runs)
@click.option("--config", "config_path", default="config.yaml", show_default=True, help="The configuration.")
def evaluate(run: str, config_path: str) -> None:
    """Held-out loss of RUN's consensus model, and of its learners' own, at every snapshot (on dev).

    Computed on a GPU where the job has one."""
    import torch

    from dasr.learner import recipe
    from dasr.training import heldout

    config = configuration.load(config_path)
    wanted = configuration.find_run(config, run)
    training = recipe.training_of(config.training, wanted.strategy, dict(wanted.training))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    scorer = heldout.of_split(config, "dev", device=device)
    heldout.evaluate(scorer, Layout.of(config).run(wanted.name), wanted.seed, training.average)
