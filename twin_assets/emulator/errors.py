"""Errors as a service answers them: a code that its model knows, a message, an HTTP status.

Belongs here: the exception that handlers raise. How it travels is in ``protocol``.
"""


class ServiceError(Exception):
    """What a handler raises and a client receives.

    Attributes:
        code: the exception's name, in general one that the service's model declares.
        message: for people.
        members: what the modelled exception says beside its message, as it is in JSON.
    """

    def __init__(self, code: str, message: str, **members: object) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.members = members


def invalid(message: str) -> ServiceError:
    """A SiteWise request that is not valid."""
    return ServiceError("InvalidRequestException", message)


def not_found(what: str, identifier: str) -> ServiceError:
    """Something that is not there; both services call it alike."""
    return ServiceError("ResourceNotFoundException", f"{what} with id {identifier} not found")


def already_exists(message: str, identifier: str, arn: str) -> ServiceError:
    """A SiteWise resource that is there already."""
    return ServiceError("ResourceAlreadyExistsException", message, resourceId=identifier, resourceArn=arn)


def conflicting(message: str, identifier: str, arn: str) -> ServiceError:
    """A SiteWise resource that cannot be changed as it is."""
    return ServiceError("ConflictingOperationException", message, resourceId=identifier, resourceArn=arn)
