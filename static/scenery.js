// The scenery's generator under the name by which others know it.

export { generatorOf } from "./heist/random.js";
