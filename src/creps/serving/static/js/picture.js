// What the controls say of a picture, and its identifier: MODEL[@PIN]:RECIPE[;OPTION]... (docs/serving.md).

/**
 * @typedef {object} Picture
 * @property {string} model
 * @property {number} seed
 * @property {number | null} towards the seed it is blended with
 * @property {number} amount how far, 0 to 1
 * @property {number | null} donor the seed whose styles some layers take
 * @property {number} first the first of these layers
 * @property {number} last
 * @property {number} truncation
 * @property {number | null} label class, of a model that has classes; null: none chosen
 * @property {string | null} custom a recipe that the controls cannot express
 * @property {string[]} extra options that have no control
 */

/** @type {Readonly<Picture>} */
export const PLAIN = Object.freeze({
  model: "",
  seed: 0,
  towards: null,
  amount: 0.5,
  donor: null,
  first: 0,
  last: 0,
  truncation: 1,
  label: null,
  custom: null,
  extra: [],
});

export const LARGEST_SEED = 2 ** 32 - 1;

const RECIPE = /^(\d{1,10})(?:\.\.(\d{1,10})@([\d.]+))?(?:\+(\d{1,10}):(\d+)(?:-(\d+))?)?$/;
/** Recipes that the controls cannot express, too. */
const WALK = String.raw`\d{1,10}(?:(?:(?:\.\.\d{1,10})+|(?:~\d{1,10})+)@[\d.]+(?:e-?\d+)?)?`;
const ANY_RECIPE = new RegExp(String.raw`^${WALK}(?:\+${WALK}:[\d,-]+)*$`);
const WHOLE = /^([\w.-]+)(?:@([0-9a-f]{8}))?:([^;]+)((?:;[^;]*)*)$/;

/** @param {number} value */
const short = (value) => String(Number(value.toFixed(3)));

/**
 * The recipe of a picture.
 * @param {Picture} picture
 */
export function recipe({ custom, seed, towards, amount, donor, first, last }) {
  if (custom !== null) return custom;
  const walk = towards === null ? `${seed}` : `${seed}..${towards}@${short(amount)}`;
  const layers = first === last ? `${first}` : `${Math.min(first, last)}-${Math.max(first, last)}`;
  return donor === null ? walk : `${walk}+${donor}:${layers}`;
}

/**
 * The identifier of a picture.
 * @param {Picture} picture
 * @param {{pin?: string, by?: string}} [options] `by`: a filter that enlarges the native picture
 */
export function identifier(picture, { pin = "", by = "" } = {}) {
  const options = [
    picture.truncation === 1 ? "" : `t=${short(picture.truncation)}`,
    ...picture.extra.filter((word) => word.startsWith("k=")),
    picture.label === null ? "" : `c=${picture.label}`,
    ...picture.extra.filter((word) => word.startsWith("w=")),
    by && `by=${by}`,
  ].filter(Boolean);
  return [`${picture.model}${pin && `@${pin}`}:${recipe(picture)}`, ...options].join(";");
}

/**
 * The picture that an identifier names, and the pin it has.
 * @param {string} text
 * @returns {{picture: Picture, pin: string} | null} null for what is no identifier, or names no seeds that there are
 */
export function readIdentifier(text) {
  const match = WHOLE.exec(text);
  if (!match) return null;
  const [, model, pin = "", words, tail] = match;
  const seeds = words.replace(/@[\d.e-]+|:[\d,-]+/g, " ").match(/\d+/g) ?? [];
  if (!ANY_RECIPE.test(words) || seeds.some((seed) => Number(seed) > LARGEST_SEED)) return null;
  /** @type {Picture} */
  const picture = { ...PLAIN, model, ...readRecipe(words), extra: [] };
  for (const option of tail.split(";").slice(1)) {
    const [name, value = ""] = option.split("=");
    if (name === "t" && value && Number.isFinite(Number(value))) picture.truncation = Number(value);
    else if (name === "c") picture.label = Number(value) || 0;
    else if (name === "k" || name === "w") picture.extra.push(option);
  }
  return { picture, pin };
}

/**
 * @param {string} text
 * @returns {Partial<Picture>}
 */
function readRecipe(text) {
  const match = RECIPE.exec(text);
  if (!match || !(Number(match[3] ?? 0) <= 1)) {
    return { custom: text, seed: Number(/^\d+/.exec(text)?.[0] ?? 0) };
  }
  const [, seed, towards, amount, donor, first, last] = match;
  return {
    seed: Number(seed),
    towards: towards === undefined ? null : Number(towards),
    amount: amount === undefined ? PLAIN.amount : Number(amount),
    donor: donor === undefined ? null : Number(donor),
    first: Number(first ?? 0),
    last: Number(last ?? first ?? 0),
  };
}

/**
 * A picture within what its model has.
 * @param {Picture} picture
 * @param {import("./server.js").Model} model
 * @returns {Picture}
 */
export function fitting(picture, { styles, classes, default_class = null, needs_class }) {
  const within = (/** @type {number} */ value, /** @type {number} */ count) =>
    Math.min(Math.max(Math.trunc(value), 0), Math.max(count - 1, 0));
  const label = picture.label ?? default_class ?? (needs_class ? 0 : null);
  return {
    ...picture,
    label: classes === 0 || label === null ? null : within(label, classes),
    first: within(picture.first, styles),
    last: within(picture.last, styles),
  };
}

/**
 * In words, for captions and screen readers.
 * @param {Picture} picture
 * @param {string[]} [names] of the model's classes
 */
export function inWords(picture, names = []) {
  if (picture.custom !== null) return `recipe ${picture.custom}`;
  const blend =
    picture.towards === null
      ? ""
      : `, ${Math.round(picture.amount * 100)} % towards seed ${picture.towards}`;
  const mix =
    picture.donor === null
      ? ""
      : `, layers ${picture.first} to ${picture.last} of seed ${picture.donor}`;
  const chosen = picture.label === null ? "" : `, class ${names[picture.label] ?? picture.label}`;
  return `seed ${picture.seed}${chosen}${blend}${mix}`;
}
