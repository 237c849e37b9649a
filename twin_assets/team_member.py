"""The process that does units' jobs beside others: ``python -m twin_assets.team_member``.

Standard input and output carry messages; what anything here prints goes to standard error, a file of the parent's. Like
the processes that run FMUs it imports nothing of the parent's program.
"""

import pickle
import signal
import threading
import traceback
from typing import IO

from twin_assets.errors import TwinError
from twin_assets.models import Models
from twin_assets.simulation.worker import outlived, take_pipes
from twin_assets.team_messages import Done, Opening, Raised, Told


def main() -> None:
    """Open the model that the first message describes and do jobs, until nobody asks any more."""
    # Ctrl-C in a terminal reaches the whole process group; ending the members is the parent's business.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    requests, answers = take_pipes()
    try:
        opening: Opening = pickle.load(requests)  # noqa: S301 - from the parent's own pipe
        threading.Thread(target=outlived, args=(opening.parent,), daemon=True).start()
        _serve(opening, requests, answers)
    except (EOFError, OSError, pickle.UnpicklingError):  # nobody asks any more
        return
    except BaseException as error:  # noqa: BLE001 - whatever it is, the parent has to hear of it
        text = str(error) if isinstance(error, TwinError) else traceback.format_exc()
        _say(answers, Raised(text, isinstance(error, TwinError)))


def _serve(opening: Opening, requests: IO[bytes], answers: IO[bytes]) -> None:
    with Models(opening.opener, opening.workers) as models:
        model = models.of(opening.twin, opening.sha256)
        while True:
            for job in pickle.load(requests):  # noqa: S301 - as above
                runs, seconds = model.model_runs, model.model_seconds
                result = job.run(model, lambda done, total: _say(answers, Told(done, total)))
                _say(answers, Done(result, model.model_runs - runs, model.model_seconds - seconds))


def _say(answers: IO[bytes], message: object) -> None:
    pickle.dump(message, answers, protocol=pickle.HIGHEST_PROTOCOL)
    answers.flush()


if __name__ == "__main__":
    main()
