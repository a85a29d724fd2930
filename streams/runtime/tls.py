"""The context of TLS connections to servers, made of the files that the settings name."""

import ssl
from pathlib import Path


def tls_context(*, authorities: Path | None, certificate: Path | None, key: Path | None) -> ssl.SSLContext:
    """Return a context that believes only servers whose certificate names their address.

    `authorities` (PEM) vouch for them, without it those of the machine. `certificate` (PEM, with what leads up to its authority)
    and `key` say who we are. ValueError names the file that cannot be used.
    """
    try:
        context = ssl.create_default_context(cafile=authorities)
    except OSError as error:  # of which ssl.SSLError is one
        message = f"the certificates of authorities in {authorities} cannot be read: {error}"
        raise ValueError(message) from error
    if certificate is not None:
        try:
            # An encrypted key is refused: nobody is there to type its password.
            context.load_cert_chain(certificate, key, password=lambda: b"")
        except OSError as error:
            message = f"the certificate {certificate} and its key {key} cannot be used (PEM, the key not encrypted): {error}"
            raise ValueError(message) from error
    return context
