"""The running-config: one frozen dataclass per section; no text, no I/O.

A section's fields are its settings, named as the grammar names them: rule `gre_tunnel_destination` sets field `destination`
of the section `gre_tunnel`. A field's default is what `no` restores, and what the rendered text leaves out.
"""
