"""Kafka's client settings in the Java client's words."""

from stores.settings import BrokerSettings


def security_options(settings: BrokerSettings) -> dict[str, str]:
    """Translate librdkafka's security settings to options of Spark's Kafka sources and sinks."""
    names = {"sasl.mechanisms": "sasl.mechanism"}
    plain = {names.get(k, k): v for k, v in settings.security.items() if k not in ("sasl.username", "sasl.password")}
    if "sasl.username" in settings.security:
        module = "plain.PlainLoginModule"
        if plain.get("sasl.mechanism", "").startswith("SCRAM"):
            module = "scram.ScramLoginModule"
        user, password = settings.security["sasl.username"], settings.security["sasl.password"]
        plain["sasl.jaas.config"] = (
            f'org.apache.kafka.common.security.{module} required username="{user}" password="{password}";'
        )
    return {f"kafka.{k}": v for k, v in plain.items()}
