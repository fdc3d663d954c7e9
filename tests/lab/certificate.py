"""A certificate for this computer's own addresses that speaks for itself, made by openssl."""

import subprocess
from pathlib import Path

_NAMES = "subjectAltName=IP:127.0.0.1,IP:::1,DNS:localhost"
_USES = "keyUsage=critical,digitalSignature,keyCertSign"
_DAYS = 3650


def certify(folder: Path, name: str, kind: str = "rsa:2048") -> tuple[Path, Path]:
    """The certificate and its key in `folder`; the key first, so that the one implies the other."""
    more = ("-pkeyopt", "ec_paramgen_curve:P-256") if kind == "ec" else ()
    key, certificate = folder / f"{name}.key", folder / f"{name}.crt"
    partial = folder / f"{name}.partial"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", kind, *more, "-nodes", "-days", str(_DAYS)),
            *("-subj", f"/CN=vmgate-lab-{name}", "-addext", _NAMES, "-addext", _USES),
            *("-keyout", str(key), "-out", str(partial)),
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
    )
    partial.rename(certificate)
    return certificate, key
