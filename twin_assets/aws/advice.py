"""What to do about errors of AWS that mean the same whichever service was asked: credentials, profiles, proxies."""

EXPIRED = (
    "the credentials have expired. Sign in again ('aws sso login', or new temporary credentials), and run again: what"
    " was done is kept."
)
WRONG_KEY = "AWS does not know this access key. Correct AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the profile."
NO_CREDENTIALS = (
    "no AWS credentials were found. Set AWS_PROFILE or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, sign in with 'aws"
    " sso login', or give this machine or task a role."
)
# botocore's class to advice.
BY_CLASS = {
    "NoCredentialsError": NO_CREDENTIALS,
    "PartialCredentialsError": "half of the AWS credentials is missing. Set both AWS_ACCESS_KEY_ID and"
    " AWS_SECRET_ACCESS_KEY.",
    "CredentialRetrievalError": NO_CREDENTIALS,
    "MetadataRetrievalError": NO_CREDENTIALS,
    "UnauthorizedSSOTokenError": EXPIRED,
    "SSOTokenLoadError": EXPIRED,
    "TokenRetrievalError": EXPIRED,
    "LoginRefreshRequired": EXPIRED,
    "ProfileNotFound": "there is no such AWS profile. Correct AWS_PROFILE, or add it to ~/.aws/config.",
    "ConfigParseError": "the AWS configuration cannot be read. Correct ~/.aws/config.",
    "ProxyConnectionError": "the proxy does not answer. Correct HTTPS_PROXY or NO_PROXY.",
    "SSLError": "the server's certificate is not trusted. Set AWS_CA_BUNDLE to the authority that signed it.",
}
