"""The cost page: what it shows is what the program computes, and the program's sums are those of its formulas."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from deploy import cost
from deploy.cost import LINES, Month, main, tables
from deploy.cost_inputs import SIZES, Figures, Prices
from streams.contract.topics import EVENTS, topics
from tests.unit.cloud.account import FOLDER, template

PAGE = (FOLDER.parent / "COST.md").read_text()
ONE, TEN_THOUSAND, MILLION = (Month(size, Figures(), Prices()) for size in SIZES)


def test_the_page_shows_what_the_program_prints() -> None:
    found = re.search(r"<!-- python -m deploy\.cost -->\n(.*)<!-- end -->", PAGE, re.DOTALL)

    assert found is not None
    assert found[1] == tables(Figures(), Prices())


def test_it_is_for_the_sizes_that_are_asked_for() -> None:
    assert [size.viewers for size in SIZES] == [1, 10_000, 1_000_000]


def test_a_million_viewers_by_hand() -> None:
    # 360 ticks and 40 other events in the hour that each watches: 400 million of 650 bytes.
    assert MILLION.events_day == 400_000_000
    assert MILLION.gb_day == pytest.approx(260)
    assert MILLION.events_s == pytest.approx(400e6 / 86_400 * 3)
    # 13,889 POSTs a second, of which a gateway takes 2,384; 13,889 events a second, of which a worker takes 23,200.
    assert (MILLION.gateways(), MILLION.streams(), MILLION.sinks()) == (6, 2, 2)
    assert MILLION.broker_disks() == pytest.approx(260 * 14 * 3 * 1.5 / 0.6 * 0.10)
    assert MILLION.firewall() == pytest.approx(7 + 400 * 30.4 * 0.60)
    assert MILLION.broker_hours() == pytest.approx(6 * 730 * 0.204)
    assert MILLION.fargate() == pytest.approx(730 * (6 * (0.04048 + 2 * 0.004445) + 4 * (0.04048 + 4 * 0.004445)))
    assert MILLION.internet() == pytest.approx(400e6 * 30.4 * 350 / 1e9 * 0.09)


def test_one_viewer_writes_one_partition_while_watching() -> None:
    assert ONE.busy_partitions == pytest.approx(1)
    assert ONE.awake == pytest.approx(1 / 24)
    assert MILLION.busy_partitions == pytest.approx(64)


def test_twice_the_refresh_is_half_the_writes() -> None:
    slower = Month(replace(TEN_THOUSAND.size, refresh_s=120), Figures(), Prices())

    assert slower.writes() == pytest.approx(TEN_THOUSAND.writes() / 2)


@pytest.mark.parametrize("name", LINES)
def test_more_viewers_never_cost_less_and_all_prices_count(name: str) -> None:
    prices = [LINES[name](month) for month in (ONE, TEN_THOUSAND, MILLION)]

    assert prices == sorted(prices)
    free = Month(MILLION.size, Figures(), Prices(**dict.fromkeys(Prices.__dataclass_fields__, 0.0)))
    assert LINES[name](free) == 0 < prices[-1]


def test_each_input_is_used() -> None:
    usual = tables(Figures(), Prices())
    for inputs, name in [(Figures(), name) for name in Figures.__dataclass_fields__] + [
        (Prices(), name) for name in Prices.__dataclass_fields__
    ]:
        costs = {usual.split("| figure |")[0]}
        # A rate that is far from its limit shows only when it is lower.
        for factor in (0.2, 5):
            other = replace(inputs, **{name: getattr(inputs, name) * factor})
            changed = tables(other, Prices()) if isinstance(other, Figures) else tables(Figures(), other)
            costs.add(changed.split("| figure |")[0])
        assert len(costs) > 1, name


def test_sizes_are_those_of_the_stack() -> None:
    parameters = template("watchtime.yaml")["Parameters"]
    usual = TEN_THOUSAND.size

    assert (usual.partitions, usual.refresh_s) == (
        int(parameters["Partitions"]["Default"]),
        int(parameters["RefreshSeconds"]["Default"]),
    )
    assert usual.least_gateways == int(parameters["GatewayMin"]["Default"])
    assert usual.least_streams == int(parameters["StreamsMin"]["Default"])
    assert parameters["BrokerType"]["Default"] == "kafka." + usual.broker.removesuffix("_hour").replace("_", ".")
    assert Figures().raw_hot_days == float(parameters["RawColdDays"]["Default"])
    kept = next(one.config["retention.ms"] for one in topics(64, 1, client_table=False) if one.name == EVENTS)
    assert int(kept) == cost.EVENTS_KEPT_DAYS * 86_400_000
    for month in (ONE, TEN_THOUSAND, MILLION):
        assert month.streams() <= month.size.partitions
        assert month.brokers() % 3 == 0
        assert month.gateways() <= int(parameters["GatewayMax"]["Default"])


def test_other_prices_can_be_given(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--price", "m7g_large_hour=1", "--figure", "hours_per_day=2"]) == 0
    assert "| MSK, brokers | 99.86 | 2,190.00 |" in capsys.readouterr().out


@pytest.mark.parametrize("word", ["m7g=1", "m7g_large_hour", "m7g_large_hour=cheap"])
def test_a_price_that_is_none_is_refused(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--price", word]) == 2
    assert word.partition("=")[0] in capsys.readouterr().err
