"""Exit 0 if the web server of this container lives. Worker and clock have no port: they live while they run."""

import os
import sys
import urllib.error
import urllib.request

request = urllib.request.Request(f"http://127.0.0.1:{os.environ.get('WEB_PORT') or 8000}/livez")
try:
    with urllib.request.urlopen(request, timeout=4):  # noqa: S310  # nosec B310  this very container
        sys.exit(0)
except urllib.error.HTTPError as error:
    # 400 for an unlisted host name is an answer too.
    sys.exit(error.code >= 500)
except OSError:
    sys.exit(1)
