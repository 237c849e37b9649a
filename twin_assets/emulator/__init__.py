"""A local IoT SiteWise and IoT TwinMaker: what boto3, the AWS CLI and viewers can point at where no account is.

``twin emulator`` starts it; in Python ``with Emulator(folder) as emulator: emulator.url``. docs/emulator.md says what
is served and what is not. It opens no connection of its own but to the S3 endpoint of a bulk import.
"""

from twin_assets.emulator.server import Emulator

__all__ = ["Emulator"]
