"""Opens a mailbox with the oldest ways to log in, which curl no longer takes: IMAP LOGIN, POP3 USER and PASS.

    mail_client.py HOST USER PASSWORD
"""

import imaplib
import poplib
import sys

host, user, password = sys.argv[1:]

imap = imaplib.IMAP4(host, timeout=10)
imap.login(user, password)
imap.select("INBOX")
imap.fetch("1", "(BODY[])")
imap.logout()

pop = poplib.POP3(host, timeout=10)
pop.user(user)
pop.pass_(password)
pop.retr(1)
pop.quit()
