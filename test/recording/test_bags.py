"""Bags written, cut, damaged, mended and read: by this package, by rosbags and by mcap."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from mcap.reader import make_reader
from mcap_ros2.decoder import DecoderFactory
from rosbags.highlevel import AnyReader

from vla_driving.contract.settings import SettingsError, from_mapping, read_yaml
from vla_driving.recording import mcap_file
from vla_driving.recording.bag_reader import BagError, BagReader, recover
from vla_driving.recording.bag_writer import BagWriter, RecordingError
from vla_driving.recording.message_types import stack_types
from vla_driving.recording.settings import (
    PICTURE_TOPICS,
    EventRecorderSettings,
    bag_folder,
    recorded_topics,
)

ROOT = Path(__file__).parents[2]
STATE = "vla_driving_msgs/msg/VehicleState"
SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND


def settings(**changes: object) -> EventRecorderSettings:
    group = read_yaml(ROOT / "config/stack.yaml")["event_recorder"]["ros__parameters"]
    shipped = from_mapping(EventRecorderSettings, group, "config/stack.yaml: event_recorder")
    small = replace(shipped, chunk_bytes=64 * 1024, min_free_bytes=0)
    return replace(small, **changes)  # type: ignore[arg-type]


def state_cdr(sequence: int, padding: int = 0) -> bytes:
    """A VehicleState; `padding` incompressible characters go into its faults."""
    types = stack_types()
    values: dict[str, Any] = {f: 0 for f, _ in types.get_msgdef(STATE).fields}
    stamp = types.types["builtin_interfaces/msg/Time"](sec=START // SECOND, nanosec=sequence)
    text = random.Random(sequence).randbytes(padding // 2).hex()
    values.update(
        header=types.types["std_msgs/msg/Header"](stamp=stamp, frame_id="base_link"),
        sequence=sequence, speed=float(sequence), faults=[text] if padding else [],
    )
    return bytes(types.serialize_cdr(types.types[STATE](**values), STATE))


def write_bag(folder: Path, count: int = 400, padding: int = 2000, **changes: object) -> BagWriter:
    writer = BagWriter(folder, settings(**changes))
    for k in range(count):
        writer.write("/vehicle/state", STATE, state_cdr(k, padding), START + k, START + k - 5)
    writer.close()
    return writer


def sequences(bag: Path) -> list[int]:
    return [m.decoded.sequence for m in BagReader(bag).messages(["vehicle/state"])]


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bags") / "drive"
    writer = write_bag(folder)
    assert (writer.fault, writer.written, writer.lost) == (None, 400, 0)
    return folder


def test_reads_back_what_was_written_with_both_times(bag: Path) -> None:
    reader = BagReader(bag)
    messages = list(reader.messages())
    assert [m.decoded.sequence for m in messages] == list(range(400))
    assert [(m.log_time_ns - START, m.publish_time_ns - START) for m in messages[:2]] == [
        (0, -5), (1, -4),
    ]
    assert (messages[0].topic, messages[0].type) == ("/vehicle/state", STATE)
    assert reader.problems == []


@pytest.mark.parametrize("compression", ["zstd", "lz4", "none"])
def test_rosbags_reads_it(tmp_path: Path, compression: str) -> None:
    write_bag(tmp_path / "drive", compression=compression)
    with AnyReader([tmp_path / "drive"]) as reader:
        assert reader.message_count == 400
        messages: list[Any] = [
            reader.deserialize(raw, c.msgtype) for c, _, raw in reader.messages()
        ]
        assert reader.topics["/vehicle/state"].msgtype == STATE
    assert np.array_equal([m.speed for m in messages], np.arange(400))


def test_mcap_reads_it_through_its_index(bag: Path) -> None:
    with (bag / "drive_0.mcap").open("rb") as file:
        reader = make_reader(file, decoder_factories=[DecoderFactory()])
        summary = reader.get_summary()
        assert summary is not None and summary.statistics is not None
        assert summary.statistics.message_count == 400
        assert len(summary.chunk_indexes) > 4
        found = [m.decoded_message.sequence for m in reader.iter_decoded_messages()]
    assert found == list(range(400))


def test_metadata_states_types_counts_and_qos(bag: Path) -> None:
    information = yaml.safe_load((bag / "metadata.yaml").read_text())["rosbag2_bagfile_information"]
    (topic,) = information["topics_with_message_count"]
    assert topic["message_count"] == information["message_count"] == 400
    assert topic["topic_metadata"]["type_description_hash"].startswith("RIHS01_")
    assert topic["topic_metadata"]["offered_qos_profiles"][0]["reliability"] == "reliable"
    assert information["duration"] == {"nanoseconds": 399}


def complete_messages(path: Path, size: int) -> int:
    """Messages in chunks of an intact file that end within its first `size` bytes."""
    with path.open("rb") as file:
        whole = mcap_file.scan(file, path.stat().st_size, verify=True)
    return sum(
        sum(counts.values())
        for chunk, counts in zip(whole.chunks, whole.counts, strict=True)
        if chunk.chunk_start_offset + chunk.chunk_length <= size
    )


@pytest.mark.parametrize("seed", range(12))
def test_a_cut_bag_gives_all_complete_chunks_and_is_mended(
    bag: Path, tmp_path: Path, seed: int
) -> None:
    whole = bag / "drive_0.mcap"
    size = random.Random(seed).randrange(200, whole.stat().st_size - 1)
    folder = tmp_path / "drive"
    folder.mkdir()
    cut = folder / "drive_0.mcap"
    cut.write_bytes(whole.read_bytes()[:size])
    expected = list(range(complete_messages(whole, size)))

    reader = BagReader(folder)
    found = [m.decoded.sequence for m in reader.messages()]
    assert found == expected
    with whole.open("rb") as file:
        data_end = mcap_file.scan(file, whole.stat().st_size, verify=False).end
    assert (reader.problems == []) == (size > data_end + 13)

    (result,) = recover(folder)
    assert result.messages == len(expected)
    assert sequences(folder) == expected
    if expected:
        with AnyReader([folder]) as other:
            assert sum(1 for _ in other.messages()) == len(expected)
        with cut.open("rb") as file:
            assert sum(1 for _ in make_reader(file).iter_messages()) == len(expected)
    assert "nothing to do" in str(recover(folder)[0])


def test_a_cut_between_a_chunk_and_its_index_keeps_the_chunk(bag: Path, tmp_path: Path) -> None:
    whole = bag / "drive_0.mcap"
    with whole.open("rb") as file:
        first = mcap_file.scan(file, whole.stat().st_size, verify=True).chunks[0]
    folder = tmp_path / "drive"
    folder.mkdir()
    end = first.chunk_start_offset + first.chunk_length
    (folder / "a.mcap").write_bytes(whole.read_bytes()[: end + 4])
    (result,) = recover(folder)
    assert result.messages == complete_messages(whole, end) > 0
    with (folder / "a.mcap").open("rb") as file:
        assert sum(1 for _ in make_reader(file).iter_messages()) == result.messages


def test_a_tail_of_zeros_as_power_cuts_leave_is_cut_off_and_set_aside(
    bag: Path, tmp_path: Path
) -> None:
    whole = bag / "drive_0.mcap"
    with whole.open("rb") as file:
        third = mcap_file.scan(file, whole.stat().st_size, verify=True).chunks[2]
    path = tmp_path / "drive.mcap"
    path.write_bytes(whole.read_bytes()[: third.chunk_start_offset] + bytes(5000))
    expected = complete_messages(whole, third.chunk_start_offset)
    assert recover(path)[0].messages == expected == len(sequences(path))
    assert Path(f"{path}.cut").read_bytes() == bytes(5000)


def test_a_damaged_chunk_is_named_and_left_out(bag: Path, tmp_path: Path) -> None:
    whole = bag / "drive_0.mcap"
    with whole.open("rb") as file:
        contents = mcap_file.scan(file, whole.stat().st_size, verify=True)
    second = contents.chunks[1]
    data = bytearray(whole.read_bytes())
    data[second.chunk_start_offset + 3000] ^= 0xFF
    path = tmp_path / "drive.mcap"
    path.write_bytes(data)
    reader = BagReader(path)
    found = [m.decoded.sequence for m in reader.messages()]
    assert len(found) == 400 - sum(contents.counts[1].values())
    assert len(reader.problems) == 1 and "left out" in reader.problems[0]
    (result,) = recover(path)
    assert len(result.damaged) == 1


@pytest.mark.parametrize("seed", range(20))
def test_random_damage_never_raises_anything_but_a_bag_error(
    bag: Path, tmp_path: Path, seed: int
) -> None:
    rng = random.Random(seed)
    data = bytearray((bag / "drive_0.mcap").read_bytes())
    for _ in range(rng.randrange(1, 30)):
        data[rng.randrange(len(data))] = rng.randrange(256)
    path = tmp_path / "drive.mcap"
    path.write_bytes(data)
    problem, found = "", []
    try:
        found = sequences(path)
        recover(path)
    except BagError as error:
        problem = str(error)
    assert found == sorted(found)
    assert not problem or (str(path) in problem or "/vehicle/state" in problem)
    assert "\n" not in problem


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda p: None, "no such bag"),
        (lambda p: p.mkdir(), "no .mcap file"),
        (lambda p: p.write_bytes(b"nonsense" * 10), "not an MCAP file"),
        (lambda p: p.write_bytes(b""), "not an MCAP file"),
    ],
)
def test_what_is_no_bag_gives_one_clear_line(tmp_path: Path, make: object, line: str) -> None:
    make(tmp_path / "bag")  # type: ignore[operator]
    for attempt in (lambda: list(BagReader(tmp_path / "bag").messages()),
                    lambda: recover(tmp_path / "bag")):
        with pytest.raises(BagError, match=line) as raised:
            attempt()
        assert str(tmp_path / "bag") in str(raised.value)


def test_a_killed_writer_loses_no_more_than_the_last_flush(tmp_path: Path) -> None:
    program = textwrap.dedent(f"""
        import os, sys, time
        sys.path[:0] = {[str(ROOT), str(ROOT / "test/recording")]!r}
        from pathlib import Path
        from test_bags import *
        writer = BagWriter(Path({str(tmp_path / "drive")!r}), settings(flush_period=0.1))
        for k in range(300):
            writer.write("/vehicle/state", STATE, state_cdr(k), START + k, START + k)
        while writer.path.stat().st_size < 5000:
            time.sleep(0.01)
        print("flushed", flush=True)
        time.sleep(60)
    """)
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process:
        assert process.stdout.readline() == b"flushed\n"
        process.kill()
    assert not (tmp_path / "drive" / "metadata.yaml").exists()
    assert sequences(tmp_path / "drive") == list(range(300))
    recover(tmp_path / "drive")
    with AnyReader([tmp_path / "drive"]) as reader:
        assert reader.message_count == 300


def check_stopped(folder: Path, writer_says: str) -> None:
    assert str(folder) in writer_says and "recording stopped" in writer_says
    assert "free some space" in writer_says
    found = sequences(folder)
    assert found == list(range(len(found))) and len(found) > 20
    with AnyReader([folder]) as reader:
        assert reader.message_count == len(found)


def test_a_full_disk_stops_the_recording_and_keeps_it_readable(tmp_path: Path) -> None:
    program = textwrap.dedent(f"""
        import resource, sys
        sys.path[:0] = {[str(ROOT), str(ROOT / "test/recording")]!r}
        from pathlib import Path
        from test_bags import *
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
        writer = write_bag(Path({str(tmp_path / "drive")!r}), count=600)
        print(writer.fault)
        print(writer.written, writer.lost)
    """)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    fault, counts = done.stdout.splitlines()
    check_stopped(tmp_path / "drive", fault)
    written, lost = map(int, counts.split())
    assert (written, written + lost) == (len(sequences(tmp_path / "drive")), 600)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(disk)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a small tmpfs needs the right to mount")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_small_disk_really_filled(small_disk: Path) -> None:
    writer = write_bag(small_disk / "drive", count=1200)
    assert writer.fault is not None
    check_stopped(small_disk / "drive", writer.fault)
    assert writer.lost == 1200 - writer.written


def test_a_small_disk_filled_by_someone_else_stops_at_the_limit(small_disk: Path) -> None:
    limited = settings(min_free_bytes=200 * 1024, flush_period=0.1)
    writer = BagWriter(small_disk / "drive", limited)
    (small_disk / "log").write_bytes(bytes(350 * 1024))
    writer.write("/vehicle/state", STATE, state_cdr(0), START, START)
    while writer.fault is None:
        writer._thread.join(0.05)
    writer.close()
    assert "min_free_bytes" in writer.fault
    assert sequences(small_disk / "drive") == [0]


def test_recording_does_not_start_without_the_free_space_asked_for(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="min_free_bytes") as raised:
        BagWriter(tmp_path / "drive", settings(min_free_bytes=2**50))
    assert str(tmp_path / "drive") in str(raised.value)
    assert not (tmp_path / "drive").exists()


def test_an_existing_folder_is_not_written_over(bag: Path) -> None:
    with pytest.raises(RecordingError, match="exists already"):
        BagWriter(bag, settings())
    assert len(sequences(bag)) == 400


def test_a_type_without_a_definition_is_named_and_the_rest_recorded(tmp_path: Path) -> None:
    writer = BagWriter(tmp_path / "drive", settings())
    writer.write("/other", "other_msgs/msg/Thing", b"\0" * 8, START, START)
    writer.write("/vehicle/state", STATE, state_cdr(0), START, START)
    writer.close()
    assert (writer.refused, writer.fault) == ({"other_msgs/msg/Thing"}, None)
    assert sequences(tmp_path / "drive") == [0]


def test_a_message_that_is_not_its_type_is_a_bag_error(tmp_path: Path) -> None:
    writer = BagWriter(tmp_path / "drive", settings())
    writer.write("/vehicle/state", STATE, b"\0\1\0\0xy", START, START)
    writer.close()
    with pytest.raises(BagError, match="/vehicle/state: message does not fit"):
        sequences(tmp_path / "drive")


def test_an_empty_recording_is_a_readable_bag(tmp_path: Path) -> None:
    BagWriter(tmp_path / "drive", settings()).close()
    assert list(BagReader(tmp_path / "drive").messages()) == []


def test_topics_are_chosen_by_the_settings() -> None:
    names = [t.name for t in recorded_topics(settings())]
    without = [t.name for t in recorded_topics(settings(include_frames=False))]
    assert "vla/frames" in names and "camera/{camera}/image" in names
    assert set(names) - set(without) == set(PICTURE_TOPICS)
    assert "camera/{camera}/camera_info" in without
    with pytest.raises(SettingsError, match="vla/typo"):
        recorded_topics(settings(topics=("vla/typo",)))


def test_the_folder_carries_the_start_of_the_drive() -> None:
    chosen = settings(folder="drives/{time}")
    assert bag_folder(chosen, START) == Path("drives/20231114T221320Z")

