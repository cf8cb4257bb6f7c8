"""How smoothly and how honestly a flight is drawn, and what many rounds leave behind in the browser."""

import math

import pytest

from tests.browser.real_house import open_real_house, opened, visiting

RATE_PER_MS = 0.0008  # 1.01x after 13 ms, 10.00x after three seconds
TICK_MS = 100
FRAMES_PER_S_MIN = 15
ROUNDS = 20
GROWTH_BYTES_MAX = 6_000_000
GROWTH_NODES_MAX = 40 * ROUNDS
# Every tick that came, and in every frame the text that stands there beside the newest tick.
NOTE_TICKS = """
globalThis.newest = 0;
globalThis.ticks = 0;
const Real = globalThis.WebSocket;
globalThis.WebSocket = class extends Real {
  constructor(url) {
    super(url);
    this.addEventListener('message', ({ data }) => {
      const frame = JSON.parse(data);
      if (frame.type === 'round_started') newest = 0;
      if (frame.type !== 'tick') return;
      newest = frame.e;
      ticks += 1;
    });
  }
};
"""
WATCH_FRAMES = """(ms) => new Promise((resolve) => {
  const text = document.querySelector('#multiplier');
  const seen = [];
  const began = performance.now();
  const look = () => {
    seen.push([Math.round(100 * Number.parseFloat(text.textContent)), newest]);
    if (performance.now() - began < ms) requestAnimationFrame(look);
    else resolve(seen);
  };
  requestAnimationFrame(look);
})"""


@pytest.fixture(scope="module")
def house(postgres, tmp_path_factory):
    folder = tmp_path_factory.mktemp("frames")
    with open_real_house(postgres, folder, GETAWAY_GAME_GROWTH_RATE_PER_MS=str(RATE_PER_MS)) as house:
        yield house


@pytest.fixture
def page(browser):
    """New for each test: one's script would stay, and the other weighs what a page has gathered."""
    with visiting(browser) as context:
        yield context.new_page()


def test_a_flight_is_drawn_often_and_never_ahead_of_the_server(house, page):
    page.set_viewport_size({"width": 1280, "height": 720})
    page.add_init_script(NOTE_TICKS)
    seat = opened(house, "ada", page)
    seat.fly(least=20_000)
    watched_ms = 3_000
    seen = page.evaluate(WATCH_FRAMES, watched_ms)
    frames_per_s = 1_000 * len(seen) / watched_ms
    shown = [hundredths for hundredths, _ in seen]
    print(f"{frames_per_s:.0f} frames per second, {len(set(shown))} values, {shown[0] / 100}x to {shown[-1] / 100}x")
    assert frames_per_s > FRAMES_PER_S_MIN
    assert shown == sorted(shown), "a multiplier went back"
    assert len(set(shown)) > len(seen) / 4, "it stands still"
    for hundredths, tick_e in seen:
        assert hundredths <= math.floor(100 * math.exp(RATE_PER_MS * (tick_e + TICK_MS))), (hundredths, tick_e)
    assert shown[-1] >= math.floor(100 * math.exp(RATE_PER_MS * (seen[-1][1] - 10 * TICK_MS))), "it falls behind"
    seat.cash_out()


def play(seat, number):
    seat.press()
    seat.at(f"#history [data-round-id]:nth-child({number})").wait_for()
    seat.in_state("bet")


def test_many_rounds_leave_little_behind(house, page):
    seat = opened(house, "bob", page)
    inspector = page.context.new_cdp_session(page)
    inspector.send("Performance.enable")

    def weigh():
        inspector.send("HeapProfiler.collectGarbage")
        metrics = inspector.send("Performance.getMetrics")["metrics"]
        values = {metric["name"]: metric["value"] for metric in metrics}
        return [int(values[name]) for name in ("JSHeapUsedSize", "JSEventListeners", "Nodes")]

    seat.at("#auto-cashout").fill("1.01")
    for number in range(1, 4):
        play(seat, number)
    before = weigh()
    for number in range(4, 4 + ROUNDS):
        play(seat, number)
    heap, listeners, nodes = (later - sooner for sooner, later in zip(before, weigh(), strict=True))
    told = f"{heap / 1024:.0f} KiB more than {before[0] / 1024:.0f}, {listeners} listeners, {nodes} nodes"
    print(f"{ROUNDS} rounds left {told}")
    assert heap < GROWTH_BYTES_MAX
    assert listeners <= 2
    assert nodes < GROWTH_NODES_MAX
    assert len(house.rounds("bob")) == 3 + ROUNDS
