"""Fork in all its forms: each record arrives once, under the identity of the process that logged it (promise 5)."""

from __future__ import annotations

import collections
from typing import TYPE_CHECKING, Any

import pytest

from arrivals import Arrivals
from logs import run, run_file, silent
from message_passing.testing import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterable


def check(arrivals: Arrivals, expected: Iterable[str]) -> dict[int, list[str]]:
    """Wait until these messages are there: each once, each process with one sender and no gap. By process."""
    wanted = collections.Counter(expected)
    try:
        wait_for(lambda: len(arrivals.records) >= wanted.total(), 15)
    except TimeoutError:
        found = collections.Counter(record["message"] for record in arrivals.records)
        raise AssertionError(f"missing {wanted - found}, too many {found - wanted}") from None
    assert collections.Counter(record["message"] for record in arrivals.records) == wanted
    by_process: dict[int, list[dict[str, Any]]] = {}
    for record in arrivals.records:
        by_process.setdefault(record["process_id"], []).append(record)
    senders = [{record["sender"] for record in records} for records in by_process.values()]
    assert all(len(sender) == 1 for sender in senders), senders
    assert len(set.union(*senders)) == len(by_process)
    for records in by_process.values():
        assert sorted(record["sequence"] for record in records) == list(range(1, len(records) + 1))
    return {process: [record["message"] for record in records] for process, records in by_process.items()}


def test_children_of_os_fork_while_threads_log() -> None:
    """Forked at any moment: within a log call of another thread, while records wait, again in the child."""
    program = """
        add()
        stop = threading.Event()
        counts = [0] * 4
        def chatter(number):
            while not stop.is_set():
                logging.debug("thread %d %d", number, counts[number])
                counts[number] += 1
                time.sleep(0.0001)
        threads = [threading.Thread(target=chatter, args=(number,)) for number in range(4)]
        for thread in threads: thread.start()
        children = []
        for child in range(20):
            logging.info("parent before %d", child)
            process = os.fork()
            if not process:
                logging.info("child %d", child)
                if child % 5 == 0 and not os.fork():
                    logging.info("grandchild %d", child)
                    logging.shutdown()
                    os._exit(0)
                logging.info("child %d again", child)
                logging.shutdown()
                os._exit(0)
            children.append(process)
            logging.info("parent after %d", child)
        for process in children: os.waitpid(process, 0)
        stop.set()
        for thread in threads: thread.join()
        print(*counts)
    """
    with Arrivals() as arrivals:
        done = run(program, arrivals.endpoint)
        assert silent(done)
        counts = [int(word) for word in done.stdout.split()]
        expected = [f"thread {t} {n}" for t, count in enumerate(counts) for n in range(count)]
        for child in range(20):
            expected += [f"parent before {child}", f"parent after {child}"]
            expected += [f"child {child}", f"child {child} again"]
            expected += [f"grandchild {child}"] * (child % 5 == 0)
        found = check(arrivals, expected)
        assert len(found) == 25


def test_a_child_may_close_what_it_inherited() -> None:
    """Its parent goes on; so does a child that ends by sys.exit; and a record after that opens it again."""
    program = """
        handler = add()
        logging.info("parent 1")
        if not os.fork():
            handler.close()
            logging.info("child closed")
            logging.shutdown()
            os._exit(0)
        os.wait()
        logging.info("parent 2")
        if not os.fork():
            logging.info("child")
            sys.exit(0)
        os.wait()
        logging.info("parent 3")
        handler.close()
        if not os.fork():
            logging.info("closed before")
            sys.exit(0)
        os.wait()
    """
    with Arrivals() as arrivals:
        assert silent(run(program, arrivals.endpoint))
        found = check(
            arrivals, ["parent 1", "parent 2", "parent 3", "child", "child closed", "closed before"]
        )
        assert sorted(map(len, found.values())) == [1, 1, 1, 3]


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_multiprocessing(method: str, tmp_path: Any) -> None:
    """Its children end by os._exit, past logging's shutdown."""
    program = f"""
        import logging, multiprocessing, sys
        from message_passing.logging import ZeroMQHandler

        def add():
            logging.basicConfig(level=1, handlers=[ZeroMQHandler(sys.argv[1])])

        def work(number):
            if {method!r} != "fork":
                add()
            logging.info("child %d", number)

        if __name__ == "__main__":
            add()
            logging.info("parent")
            context = multiprocessing.get_context({method!r})
            children = [context.Process(target=work, args=(number,)) for number in range(3)]
            for child in children: child.start()
            for child in children: child.join()
            logging.info("parent after")
            assert not any(child.exitcode for child in children)
    """
    with Arrivals() as arrivals:
        assert silent(run_file(program, tmp_path, arrivals.endpoint))
        check(arrivals, ["parent", "parent after", "child 0", "child 1", "child 2"])
        names = {record["message"]: record["process"] for record in arrivals.records}
        assert names["parent"] == "MainProcess"
        assert names["child 0"] != names["child 1"]


def test_a_process_pool(tmp_path: Any) -> None:
    """Workers that live on between their tasks, and end when the pool does."""
    program = """
        import logging, sys
        from concurrent.futures import ProcessPoolExecutor
        from multiprocessing import get_context
        from message_passing.logging import ZeroMQHandler

        def work(number):
            logging.info("task %d", number)

        if __name__ == "__main__":
            logging.basicConfig(level=1, handlers=[ZeroMQHandler(sys.argv[1])])
            logging.info("parent")
            with ProcessPoolExecutor(2, mp_context=get_context("fork")) as pool:
                list(pool.map(work, range(50)))
            logging.info("parent after")
    """
    with Arrivals() as arrivals:
        assert silent(run_file(program, tmp_path, arrivals.endpoint))
        check(arrivals, ["parent", "parent after", *(f"task {number}" for number in range(50))])
