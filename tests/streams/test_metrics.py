from streams.runtime.metrics import CONSUMER_LAG, METRICS, Meter


def test_a_series_that_is_forgotten_is_not_shown_any_more_and_may_come_back() -> None:
    meter = Meter()
    meter.set(CONSUMER_LAG, 7, topic="client.events", partition="0")
    meter.set(CONSUMER_LAG, 8, topic="client.events", partition="1")
    meter.forget(CONSUMER_LAG, topic="client.events", partition="0")
    meter.forget(CONSUMER_LAG, topic="client.events", partition="0")
    shown = meter.render().decode()
    assert 'partition="0"' not in shown
    assert 'partition="1"' in shown
    meter.set(CONSUMER_LAG, 9, topic="client.events", partition="0")
    assert meter.read(CONSUMER_LAG, topic="client.events", partition="0") == 9


def test_every_metric_is_named_once() -> None:
    names = [metric.name for metric in METRICS]
    assert len(set(names)) == len(names)
