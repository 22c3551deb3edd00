"""usage: dispatch_for_tests.py FOLDER STEPS [SILENCE]: as `dasr train`, with the learner of the tests."""

import sys
from pathlib import Path

from dasr import log
from dasr.errors import UserError
from dasr.launch.command import dispatch
from dasr.launch.failures import FaultPolicy
from dasr.launch.identity import COMPUTED_BY
from dasr.launch.resources import Resources

folder = Path(sys.argv[1])
learner = Path(__file__).with_name("learner_of_tests.py")
command = ("-S", str(learner), str(folder), sys.argv[2])
policy = FaultPolicy(
    asynchronous=False, stop_s=2.0, silence_s=float(sys.argv[3]) if len(sys.argv) > 3 else 30.0
)
log.configure()
try:
    dispatch("test", folder, 2, command, Resources(), policy, {"learners": 2, COMPUTED_BY: "cpu"})
except UserError as error:
    sys.exit(f"dasr: error: {error}")
