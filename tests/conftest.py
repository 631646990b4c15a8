"""Settings of all tests: how long an example takes depends on what else the machine does, and says nothing of the code."""

from hypothesis import HealthCheck, settings

settings.register_profile("hsadc", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("hsadc")
