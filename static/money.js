// Money is whole minor units and multipliers are whole hundredths; both are safe integers (at most 10^15).

// The minor units of ISO 4217, which are the server's. Intl is not asked: browsers write forints, rupiahs and others
// without decimals by custom, and an amount in their minor units would read a hundred times too large.
const EXPONENTS = new Map([
  [0, "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF"],
  [3, "BHD IQD JOD KWD LYD OMR TND"],
]);
const USUAL_EXPONENT = 2;

/** How many decimals a currency's minor unit stands for. */
export function exponentOf(currency) {
  for (const [exponent, codes] of EXPONENTS) if (codes.split(" ").includes(currency)) return exponent;
  return USUAL_EXPONENT;
}

/** How one currency is written and read. `locale` is a BCP 47 tag or undefined for the browser's own. */
export class MoneyFormat {
  constructor(currency, locale = undefined) {
    this.currency = currency;
    this.locale = locale;
    this.exponent = exponentOf(currency);
    const digits = { minimumFractionDigits: this.exponent, maximumFractionDigits: this.exponent, numberingSystem: "latn" };
    this.named = currencyFormat(locale, currency, digits);
    this.signed = currencyFormat(locale, currency, { ...digits, signDisplay: "exceptZero" });
    this.grouped = new Intl.NumberFormat(locale, digits);
    this.plain = new Intl.NumberFormat(locale, { ...digits, useGrouping: false });
    const decimal = new Intl.NumberFormat(locale, { minimumFractionDigits: 1, numberingSystem: "latn" });
    this.decimalMark = decimal.formatToParts(0.5).find((part) => part.type === "decimal").value;
  }

  /** The same in another currency. */
  of(currency) {
    return currency === this.currency ? this : new MoneyFormat(currency, this.locale);
  }

  /** The amount with its currency, as the player's locale writes it: 150 -> "$1.50". */
  text(amountMinor) {
    const decimal = decimalText(amountMinor, this.exponent);
    return this.named ? this.named.format(decimal) : `${this.grouped.format(decimal)} ${this.currency}`;
  }

  /** The amount without currency and without decimals that say nothing: for chips. */
  shortText(amountMinor) {
    const text = this.plain.format(decimalText(amountMinor, this.exponent));
    const zeros = `${this.decimalMark}${"0".repeat(this.exponent)}`;
    return this.exponent > 0 && text.endsWith(zeros) ? text.slice(0, -zeros.length) : text;
  }

  /** A gain or a loss with its sign, as the locale places it: "+$1.50", "-$1.50", "$0.00". */
  signedText(amountMinor) {
    if (this.signed) return this.signed.format(decimalText(amountMinor, this.exponent));
    return `${amountMinor > 0 ? "+" : ""}${this.grouped.format(decimalText(amountMinor, this.exponent))} ${this.currency}`;
  }

  /** The amount for an input: no currency, no grouping. */
  inputText(amountMinor) {
    return this.plain.format(decimalText(amountMinor, this.exponent));
  }

  /** Minor units of what a player typed, or null if it is not one clear amount in this currency. */
  parse(text) {
    return parseDecimal(text, this.exponent, this.decimalMark);
  }
}

function currencyFormat(locale, currency, digits) {
  try {
    return new Intl.NumberFormat(locale, { ...digits, style: "currency", currency });
  } catch {
    return null;
  }
}

/** An integer as an exact decimal string: (150, 2) -> "1.50". */
export function decimalText(amount, exponent) {
  const digits = String(Math.abs(amount)).padStart(exponent + 1, "0");
  const sign = amount < 0 ? "-" : "";
  if (exponent === 0) return sign + digits;
  return `${sign}${digits.slice(0, -exponent)}.${digits.slice(-exponent)}`;
}

/**
 * A typed decimal as a whole number of 10^-exponent, or null. "1.234,5" and "1,234.5" both read; a lone mark is a
 * decimal mark unless it is the locale's grouping mark before exactly three digits. Nothing is ever rounded.
 */
export function parseDecimal(text, exponent, decimalMark = ".") {
  const clean = latin(text).replace(/[\s\u00a0\u202f'’_]/g, "");
  if (!/^[0-9.,]*[0-9][0-9.,]*$/.test(clean)) return null;
  const mark = decimalMarkOf(clean, decimalMark);
  if (mark === null) return null;
  const at = mark === "" ? -1 : clean.lastIndexOf(mark);
  const fraction = at < 0 ? "" : clean.slice(at + 1);
  const whole = (at < 0 ? clean : clean.slice(0, at)).replace(/[.,]/g, "");
  if (/[.,]/.test(fraction)) return null;
  const significant = fraction.replace(/0+$/, "");
  if (significant.length > exponent) return null;
  const amount = BigInt((whole || "0") + significant.padEnd(exponent, "0"));
  return amount <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(amount) : null;
}

// Arabic and Persian digits and marks as keyboards of those languages type them.
function latin(text) {
  const digits = text.replace(/[\u0660-\u0669\u06f0-\u06f9]/g, (digit) => String(digit.charCodeAt(0) & 15));
  return digits.replaceAll("\u066b", ".").replaceAll("\u066c", ",");
}

// Which of "." and "," is the decimal mark of this text: "" for none, null if the text has no sensible reading.
function decimalMarkOf(clean, localeMark) {
  const marks = clean.replace(/[0-9]/g, "");
  if (marks === "") return "";
  const kinds = new Set(marks);
  const last = marks[marks.length - 1];
  if (kinds.size === 2) {
    const groups = marks.slice(0, -1);
    return groups.includes(last) || !isGrouped(clean.slice(0, clean.lastIndexOf(last)), groups[0]) ? null : last;
  }
  const grouped = isGrouped(clean, last);
  if (marks.length > 1) return grouped ? "" : null;
  return grouped && last !== localeMark ? "" : last;
}

// Groups of three, or of two before the last three as in India.
function isGrouped(whole, mark) {
  const [first, ...rest] = whole.split(mark);
  const last = rest.pop();
  const middle = rest.every((part) => part.length === 3) || rest.every((part) => part.length === 2);
  return first.length >= 1 && first.length <= 3 && last?.length === 3 && middle;
}

/** What a stake pays at a multiplier, rounded down, as the server computes it. */
export function payoutMinor(amountMinor, hundredths) {
  return Number((BigInt(amountMinor) * BigInt(hundredths)) / 100n);
}

/** The largest multiplier (hundredths) whose payout stays within the currency's largest payout. */
export function payoutCapHundredths(amountMinor, maxPayoutMinor) {
  const cap = (100n * (BigInt(maxPayoutMinor) + 1n) - 1n) / BigInt(amountMinor);
  return cap < BigInt(Number.MAX_SAFE_INTEGER) ? Number(cap) : Number.MAX_SAFE_INTEGER;
}

/** A multiplier of the wire (a number with at most two decimals) in hundredths. */
export function hundredthsOf(multiplier) {
  return Math.round(multiplier * 100);
}

/** The largest stake that the limits allow: also one whose largest payout still leaves room for the lowest cash-out. */
export function stakeMaxMinor(limits) {
  const lowest = BigInt(hundredthsOf(limits.min_cashout));
  const capped = Number((100n * (BigInt(limits.max_payout_minor) + 1n) - 1n) / lowest);
  return stepDown(Math.min(limits.max_bet_minor, capped), limits);
}

function stepDown(amountMinor, limits) {
  return amountMinor - (amountMinor % limits.bet_step_minor);
}

/** The nearest stake at or below the amount that the limits allow (never below the smallest). */
export function clampStake(amountMinor, limits) {
  const bounded = Math.min(Math.max(amountMinor, limits.min_bet_minor), stakeMaxMinor(limits));
  return Math.max(stepDown(bounded, limits), limits.min_bet_minor);
}

/** Stakes to choose from at a press: the first one offered, some around it, within the limits; rising, none twice. */
export function quickStakes(limits) {
  const wanted = [1, 10, 50, 100].map((times) => clampStake(limits.min_bet_minor * times, limits));
  return [...new Set(wanted)];
}

/** What is wrong with a stake, as the server's error code, or null. */
export function stakeError(amountMinor, limits) {
  if (amountMinor < limits.min_bet_minor) return "stake_too_low";
  if (amountMinor > limits.max_bet_minor) return "stake_too_high";
  const cap = payoutCapHundredths(amountMinor, limits.max_payout_minor);
  if (cap < hundredthsOf(limits.min_cashout)) return "stake_too_high";
  return amountMinor % limits.bet_step_minor === 0 ? null : "stake_step";
}

/** What is wrong with an automatic cash-out (hundredths, or null for none), as the server's error code, or null. */
export function autoCashoutError(hundredths, limits) {
  if (hundredths === null) return null;
  const fits = hundredths >= hundredthsOf(limits.min_cashout) && hundredths <= 100 * limits.max_win_multiplier;
  return fits ? null : "bad_auto_cashout";
}
