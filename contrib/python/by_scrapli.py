"""Push a configuration with scrapli 2026, and read what became of it: by_scrapli.py FILE HOST PORT."""

import json
import sys

from scrapli import AuthOptions, Cli

file, host, port = sys.argv[1:]
login = AuthOptions(username="admin", password="hsadc")

with Cli(host, port=int(port), definition_file_or_name="cisco_iosxe", auth_options=login) as adc:
    with open(file, encoding="utf-8") as lines:
        pushed = adc.send_inputs(inputs=lines.read().splitlines(), requested_mode="configuration", stop_on_indicated_failure=True)
    if pushed.failed:
        sys.exit(pushed.result)
    adc.send_input(input_="write memory")
    shown = json.loads(adc.send_input(input_="show slb virtual-server | json").result)

for server in shown["virtual_servers"]:
    print(server["name"], server["address"], server["port"], server["state"], server["reason"])
