#!/usr/bin/python3
"""One step of scenarios/lab/xmpp-starttls.toml: types into the Profanity that scripts/lab-run has started.

    profanity_step.py register | contact | message | sealed | share | pgp

METALEAK_LAB_HOMES is the folder with the homes of client and counsellor, METALEAK_LAB_KEYS the ids of their keys of OpenPGP; METALEAK_CANARY_… are what is planted.
"""

import os
import sys
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lab import net, profanity  # noqa: E402


def main(step):
    homes = os.environ.get("METALEAK_LAB_HOMES")
    if not homes:
        raise net.LabError("the lab is not there: start the scenario by scripts/lab-run")
    client, counsellor = (profanity.Terminal(None, None, Path(homes) / name) for name in ("client", "counsellor"))
    canaries = {name: os.environ[f"METALEAK_CANARY_{name.upper()}"] for name in ("password", "message", "answer", "sealed", "attachment", "pgp")}
    keys = os.environ["METALEAK_LAB_KEYS"].split()
    if step == "register":
        profanity.sign_up(client, canaries["password"])
        profanity.log_in_with_key(client, "client", canaries["password"], keys[0])
    elif step == "contact":
        profanity.befriend(client, counsellor)
    elif step == "message":
        profanity.converse(client, counsellor, canaries)
    elif step == "sealed":
        profanity.seal(client, counsellor, canaries)
    elif step == "share":
        file = client.home / "letter.txt"
        file.write_text(canaries["attachment"] + "\n")
        profanity.share(client, counsellor, file)
    elif step == "pgp":
        profanity.seal_openpgp(client, counsellor, keys[1], canaries)
    else:
        raise net.LabError(f"no step {step!r}")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except (net.LabError, KeyError, TypeError) as error:
        sys.exit(f"profanity_step: {error}")
