"use strict";
const Tiles = L.TileLayer.extend({
  getTileUrl(at) {
    const level = this.options.levels[-at.z];
    return (level && level[at.y] && level[at.y][at.x]) || L.Util.emptyImageUrl;
  },
});

function startViewer(root) {
  const part = name => root.querySelector(`.${name}`);
  const data = JSON.parse(root.querySelector(".viewer script").textContent);
  const [wide, high] = data.pixel;
  const place = new L.Transformation(1 / wide, -data.left / wide, -1 / wide, data.top / wide);
  const [left, bottom, right, top] = data.ground;
  const bounds = L.latLngBounds([bottom, left], [top, right]);
  const frame = part("frame");
  const map = L.map(frame, {
    crs: L.extend({}, L.CRS.Simple, { transformation: place }), attributionControl: false, zoomSnap: 0.05,
    zoomDelta: 1, zoomAnimation: false, fadeAnimation: false, scrollWheelZoom: false, minZoom: -30, maxZoom: 30,
    maxBounds: bounds.pad(0.5),
  });
  let start = null;
  function fit() {
    map.setMinZoom(-30).setMaxZoom(30).fitBounds(bounds, { animate: false });
    start = { zoom: map.getZoom(), centre: map.getCenter() };
    map.setMinZoom(Math.min(start.zoom, 0) - 0.5).setMaxZoom(Math.max(start.zoom, 0) + 4);
  }
  fit();
  // What was not moved yet is fitted into a window of another size, such as a turned phone's.
  map.on("resize", () => {
    const moved = map.latLngToContainerPoint(start.centre).distanceTo(map.getSize().divideBy(2));
    if (map.getZoom() === start.zoom && moved < 2) fit();
  });
  // A page is scrolled past a map: the wheel zooms once the map was clicked on.
  map.on("focus", () => map.scrollWheelZoom.enable());
  map.on("blur", () => map.scrollWheelZoom.disable());
  L.control.scale({ imperial: false, maxWidth: 140 }).addTo(map);
  const north = L.control({ position: "topright" });
  north.onAdd = () => {
    const sign = L.DomUtil.create("div", "north");
    sign.setAttribute("role", "img");
    sign.setAttribute("aria-label", "north is up");
    sign.innerHTML = "&#9650;<br>N";
    return sign;
  };
  north.addTo(map);

  const whole = L.latLngBounds([data.top - high * data.size[1], data.left], [data.top, data.left + wide * data.size[0]]);
  function drawn(layer, pane) {
    if (!layer.levels) return L.imageOverlay(layer.picture, bounds, { pane, alt: layer.name });
    const tileSize = L.point(data.tile, data.tile * high / wide);
    return new Tiles("", {
      pane, tileSize, levels: layer.levels, bounds: whole, noWrap: true, minZoom: -30, maxZoom: 30,
      minNativeZoom: 1 - layer.levels.length, maxNativeZoom: 0,
    });
  }
  const over = map.createPane("over");
  over.style.zIndex = 300;
  over.style.pointerEvents = "none";
  const base = data.base ? drawn(data.base, "tilePane").addTo(map) : null;
  const layers = data.layers.map(layer => drawn(layer, "over"));

  const legends = root.querySelectorAll(".legend");
  let shown = null;
  function choose() {
    const number = Number(part("layer").value);
    if (shown) shown.remove();
    shown = number < 0 ? null : layers[number].addTo(map);
    legends.forEach((legend, n) => legend.classList.toggle("now", n === number));
  }
  function swipe() {
    if (!base) return;
    const size = map.getSize(), corner = map.containerPointToLayerPoint([0, 0]), far = corner.add(size);
    const x = corner.x + size.x * (100 - part("swipe").value) / 100;
    over.style.clipPath = `polygon(${x}px ${corner.y}px, ${far.x}px ${corner.y}px, ${far.x}px ${far.y}px, ${x}px ${far.y}px)`;
  }
  function sharpen() { frame.classList.toggle("near", map.getZoom() > 0); }
  part("layer").onchange = choose;
  if (base) {
    part("base").onchange = () => part("base").checked ? base.addTo(map) : base.remove();
    part("opacity").oninput = () => { over.style.opacity = part("opacity").value / 100; };
    part("swipe").oninput = swipe;
  }
  map.on("move zoom resize viewreset", swipe);
  map.on("zoomend", sharpen);
  map.on("mousemove", event => {
    part("position").textContent = `x ${event.latlng.lng.toFixed(1)}, y ${event.latlng.lat.toFixed(1)}`;
  });

  // A label above a place at the upper edge would be cut off.
  const labelAt = y => top - y < 0.08 * (top - bottom) ? "bottom" : "top";
  const squares = data.places.map(({ x, y, side, label }) => L.rectangle(
    [[y - side / 2, x - side / 2], [y + side / 2, x + side / 2]], { color: "#d7191c", weight: 2, fill: false, interactive: false },
  ).bindTooltip(label, { permanent: true, direction: labelAt(y) }));
  const marks = L.layerGroup(squares).addTo(map);
  if (squares.length) part("places").onchange = () => part("places").checked ? marks.addTo(map) : marks.remove();
  for (const link of document.querySelectorAll(`a[href="#${root.id}"][data-place]`)) {
    link.addEventListener("click", event => {
      event.preventDefault();  // it would take the focus away again
      map.fitBounds(squares[Number(link.dataset.place)].getBounds().pad(2), { animate: false });
      root.scrollIntoView({ block: "start" });
      frame.focus({ preventScroll: true });
    });
  }
  choose();
  swipe();
  sharpen();
  root.map = map;
}

document.documentElement.classList.add("js");
try {
  document.querySelectorAll(".ground").forEach(startViewer);
} catch (error) {
  document.documentElement.classList.remove("js");
  console.error(error);
}
