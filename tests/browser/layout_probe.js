// What is wrong with how the page is laid out now, one line each; run in the page by test_page_layout.py.
() => {
  const complaints = [];
  scrollTo(0, 0);
  const [width, height] = [innerWidth, innerHeight];
  const nameOf = (element) => `${element.localName}#${element.id || element.closest("[id]")?.id || "?"} "${(element.value || element.textContent).trim().slice(0, 40)}"`;
  const complain = (what, element) => complaints.push(`${what}: ${nameOf(element)}`);
  const isShown = (element) => element.checkVisibility({ visibilityProperty: true, opacityProperty: true, contentVisibilityAuto: true });
  const isForReaders = (element) => element.closest("#rounds h2, #ending[hidden]") !== null && element.getBoundingClientRect().width <= 1;

  // Boxes of the text itself, not of the element around it.
  const textBox = (element) => {
    if (element.localName === "input") return element.getBoundingClientRect();
    const range = document.createRange();
    range.selectNodeContents(element);
    return range.getBoundingClientRect();
  };
  const scroller = (element, axis) => {
    for (let one = element.parentElement; one !== null && one !== document.body; one = one.parentElement) {
      if (["auto", "scroll"].includes(getComputedStyle(one)[axis])) return one;
    }
    return null;
  };
  const hasText = (element) => element.localName === "input" || [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim() !== "");
  const texts = [...document.querySelectorAll("#game *")].filter((element) => hasText(element) && isShown(element) && !isForReaders(element));

  const inSight = texts.filter((element) => {
    const box = textBox(element);
    const across = scroller(element, "overflowX")?.getBoundingClientRect();
    const along = scroller(element, "overflowY")?.getBoundingClientRect();
    const isAside = across !== undefined && (box.right > across.right + 1 || box.left < across.left - 1);
    const isBelow = along !== undefined && (box.bottom > along.bottom + 1 || box.top < along.top - 1);
    return !isAside && !isBelow;
  });

  for (const element of texts) {
    const style = getComputedStyle(element);
    const clips = element.localName === "input" || style.overflowX === "hidden" || style.overflowX === "clip";
    if (clips && element.scrollWidth > element.clientWidth + 1) complain(`clipped by ${element.scrollWidth - element.clientWidth}`, element);
    if (clips && style.overflowY !== "visible" && element.localName !== "input" && element.scrollHeight > element.clientHeight + 1) complain("cut off below", element);
  }
  for (const element of inSight) {
    const box = textBox(element);
    if (box.left < -0.5 || box.right > width + 0.5) complain(`outside (${Math.round(box.left)} to ${Math.round(box.right)} of ${width})`, element);
    const around = element.closest("button, #badge, #connection, #loot, summary")?.getBoundingClientRect();
    if (around && (box.left < around.left - 1 || box.right > around.right + 1 || box.top < around.top - 1 || box.bottom > around.bottom + 1)) {
      complain("over the edge of its button", element);
    }
  }
  inSight.forEach((one, index) => {
    const a = textBox(one);
    for (const other of inSight.slice(index + 1)) {
      if (one.contains(other) || other.contains(one)) continue;
      const b = textBox(other);
      const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      const along = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      if (across > 1 && along > 1) complaints.push(`overlap by ${Math.round(across)} x ${Math.round(along)}: ${nameOf(one)} and ${nameOf(other)}`);
    }
  });

  if (document.documentElement.scrollWidth > width) complaints.push(`scrolls sideways: ${document.documentElement.scrollWidth} of ${width}`);
  const stage = document.querySelector("#stage").getBoundingClientRect();
  if (stage.height < 100) complaints.push(`the stage is ${Math.round(stage.height)} high`);
  const action = document.querySelector("#action").getBoundingClientRect();
  if (action.bottom > height + 0.5 || action.top < 0) complaints.push(`the button ends at ${Math.round(action.bottom)} of ${height}`);
  if (action.height < 44) complaints.push(`the button is ${Math.round(action.height)} high`);
  for (const name of ["#balance", "#net", "#played", "#multiplier"]) {
    const box = document.querySelector(name).getBoundingClientRect();
    if (box.width < 1 || box.top < 0 || box.bottom > height) complaints.push(`${name} is not in sight`);
  }
  return complaints;
}
