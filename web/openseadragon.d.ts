// OpenSeadragon is loaded by a script element of its own: it is a global name of the page.
import type OSD from "openseadragon";
export = OSD;
export as namespace OpenSeadragon;
