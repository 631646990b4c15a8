"""Push a configuration with netmiko, and read what became of it: by_netmiko.py FILE HOST PORT."""

import json
import sys

from netmiko import ConnectHandler

REFUSED = r"\^-----.*|% .*"  # what the device says to a line that it does not take

file, host, port = sys.argv[1:]
login = {"host": host, "port": int(port), "username": "admin", "password": "hsadc"}

with ConnectHandler(device_type="hillstone_stoneos", **login) as adc:  # cisco_ios does as well
    with open(file, encoding="utf-8") as lines:
        adc.send_config_set(lines.read().splitlines(), error_pattern=REFUSED)
    adc.save_config()
    shown = json.loads(adc.send_command("show slb virtual-server | json"))

for server in shown["virtual_servers"]:
    print(server["name"], server["address"], server["port"], server["state"], server["reason"])
