const root = document.querySelector(".ground"), map = root.map, seen = {};
const part = name => root.querySelector(`.${name}`);
const set = (name, value, event) => {
  part(name).value = value;
  part(name).dispatchEvent(new Event(event));
};
const over = map.getPane("over"), pictures = () => [...over.querySelectorAll("img")];
const rectangle = element => {
  const r = element.getBoundingClientRect();
  return [r.left, r.top, r.right, r.bottom];
};
seen.layers = [...part("layer").options].map(option => option.text);
seen.legends = [...root.querySelectorAll(".legend")].filter(e => e.checkVisibility()).length;
seen.still = part("still").checkVisibility();
seen.tiles = [map.getPane("tilePane"), over].map(pane => [...pane.querySelectorAll("img")].map(rectangle));
const corner = (x, y) => {
  const c = part("frame").getBoundingClientRect(), p = map.latLngToContainerPoint([y, x]);
  return [c.left + part("frame").clientLeft + p.x, c.top + part("frame").clientTop + p.y];
};
seen.ground = [...corner(LEFT, TOP), ...corner(RIGHT, BOTTOM)];
seen.half = over.style.clipPath;
set("swipe", 100, "input");
seen.all = over.style.clipPath;
set("opacity", 40, "input");
seen.opacity = over.style.opacity;
set("layer", 1, "change");
seen.changed = pictures().map(picture => [picture.alt, picture.src.slice(0, 16)]);
seen.overlaid = pictures().map(rectangle);
set("layer", -1, "change");
seen.none = pictures().length;
const zoom = map.getZoom();
document.querySelectorAll(".chips a")[1].click();
seen.zoomed = map.getZoom() - zoom;
seen.centre = [map.getCenter().lng, map.getCenter().lat];
seen.focus = document.activeElement === part("frame");
part("frame").dispatchEvent(new KeyboardEvent("keydown", { keyCode: 107, which: 107, bubbles: true }));
seen.key = map.getZoom() - zoom - seen.zoomed;
seen.wide = document.documentElement.scrollWidth <= innerWidth;
document.body.dataset.seen = JSON.stringify(seen);
