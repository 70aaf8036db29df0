// Redoc shows its makers' logo from a CDN; nothing here is loaded from elsewhere, so the place stays empty.
"use strict";

const image = HTMLImageElement.prototype;
const setAttribute = Element.prototype.setAttribute;
const source = Object.getOwnPropertyDescriptor(image, "src");
const ours = (address) =>
  String(address).startsWith("https://cdn.") ? "data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg'/>" : address;

image.setAttribute = function (name, value) {
  setAttribute.call(this, name, name === "src" ? ours(value) : value);
};
Object.defineProperty(image, "src", {
  ...source,
  set(address) {
    source.set.call(this, ours(address));
  },
});
