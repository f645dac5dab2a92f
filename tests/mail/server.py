"""A mail server that wants TLS and a sign-in, for the tests of mails.

server.py PORT starttls|implicit|plain CERTIFICATE KEY FOLDER
Takes the user `satpam` with the password `correct horse`; mails go to FOLDER in maildir format.
"""

import asyncio
import ssl
import sys

from aiosmtpd.handlers import Mailbox
from aiosmtpd.smtp import SMTP, AuthResult

port, mode, certificate, key, folder = sys.argv[1:6]


def authenticate(server, session, envelope, mechanism, data):
    good = data.login == b"satpam" and data.password == b"correct horse"
    return AuthResult(success=good, handled=False)


def context():
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(certificate, key)
    return made


def session():
    return SMTP(
        Mailbox(folder),
        hostname="localhost",
        tls_context=context() if mode == "starttls" else None,
        require_starttls=mode == "starttls",
        authenticator=authenticate,
        auth_required=mode != "plain",
        # Under implicit TLS the server does not know of the TLS below it.
        auth_require_tls=mode == "starttls",
    )


async def serve():
    below = context() if mode == "implicit" else None
    server = await asyncio.get_running_loop().create_server(session, "127.0.0.1", int(port), ssl=below)
    async with server:
        await server.serve_forever()


asyncio.run(serve())
