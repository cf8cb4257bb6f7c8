import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import {
  MoneyFormat,
  autoCashoutError,
  clampStake,
  decimalText,
  exponentOf,
  hundredthsOf,
  parseDecimal,
  payoutCapHundredths,
  payoutMinor,
  quickStakes,
  stakeError,
  stakeMaxMinor,
} from "../../../static/money.js";

const { exponents } = JSON.parse(readFileSync(process.env.GETAWAY_SERVER_FACTS, "utf8"));

const LIMITS = {
  min_bet_minor: 10,
  max_bet_minor: 100_000,
  bet_step_minor: 10,
  max_payout_minor: 5_000_000,
  min_cashout: 1.01,
  max_win_multiplier: 2000,
};

test("amounts are written with as many decimals as the currency has", () => {
  assert.equal(new MoneyFormat("JPY", "en").text(1500), "¥1,500");
  assert.equal(new MoneyFormat("USD", "en").text(150), "$1.50");
  assert.equal(new MoneyFormat("KWD", "en").text(1500).replace(/\s/g, " "), "KWD 1.500");
  assert.equal(new MoneyFormat("EUR", "de").text(123_456).replace(/\s/g, " "), "1.234,56 €");
  assert.equal(new MoneyFormat("USDT", "en").text(150), "1.50 USDT");
});

test("every currency has the server's minor units, whatever the browser's custom is", () => {
  assert.ok(Object.keys(exponents).length > 100);
  for (const [currency, exponent] of Object.entries(exponents)) {
    assert.equal(exponentOf(currency), exponent, currency);
    const money = new MoneyFormat(currency, "en");
    const unit = decimalText(1, exponent);
    assert.ok(money.text(1).includes(unit) && money.inputText(1) === unit, currency);
  }
});

test("the largest amount keeps its last digit", () => {
  assert.equal(new MoneyFormat("USD", "en").text(999_999_999_999_999), "$9,999,999,999,999.99");
  assert.equal(new MoneyFormat("KWD", "en").inputText(999_999_999_999_999), "999999999999.999");
  assert.equal(new MoneyFormat("USD", "en").text(10 ** 15), "$10,000,000,000,000.00");
});

test("what is written into the input is read back", () => {
  for (const [currency, locale] of [["JPY", "ja"], ["USD", "en"], ["EUR", "de"], ["KWD", "ar"], ["INR", "hi"], ["SEK", "fr"]]) {
    const money = new MoneyFormat(currency, locale);
    for (const amount of [0, 1, 10, 999, 1000, 1234, 123_456, 1_234_500, 10 ** 15]) {
      assert.equal(money.parse(money.inputText(amount)), amount, `${currency} ${locale} ${amount}`);
      assert.equal(money.parse(money.grouped.format(decimalText(amount, money.exponent))), amount, `${currency} ${locale} grouped`);
    }
  }
});

test("a typed amount has one reading or none", () => {
  const cases = [
    ["1.5", 2, ".", 150],
    ["1,5", 2, ".", 150],
    ["1,500", 2, ".", 150_000],
    ["1,500", 2, ",", 150],
    ["1.500", 2, ",", 150_000],
    ["1.500", 3, ".", 1500],
    ["1,234.5", 2, ".", 123_450],
    ["1.234,5", 2, ".", 123_450],
    ["12,34,567.8", 2, ".", 123_456_780],
    ["1 234,50", 2, ",", 123_450],
    ["1'234.50", 2, ".", 123_450],
    [".5", 2, ".", 50],
    ["5.", 2, ".", 500],
    ["0", 2, ".", 0],
    ["100", 0, ".", 100],
    ["100.0", 0, ".", 100],
    ["1.255", 2, ".", null],
    ["100.5", 0, ".", null],
    ["1.2.3", 2, ".", null],
    ["1,23,4.5", 2, ".", null],
    ["1.5,5.5", 2, ".", null],
    ["-1", 2, ".", null],
    ["1e3", 2, ".", null],
    ["", 2, ".", null],
    [".", 2, ".", null],
    ["99999999999999999", 2, ".", null],
  ];
  for (const [text, exponent, mark, amount] of cases) assert.equal(parseDecimal(text, exponent, mark), amount, text);
});

test("payouts round down and never lose a unit to a float", () => {
  assert.equal(payoutMinor(333, 150), 499);
  assert.equal(payoutMinor(10 ** 15, 101), 1_010_000_000_000_000);
  assert.equal(payoutMinor(10 ** 15 - 1, 101), 1_009_999_999_999_998);
  assert.equal(payoutMinor(29, 100), 29);
  assert.equal(payoutMinor(1, 199), 1);
});

test("the cap is the last multiplier whose payout stays within the largest payout", () => {
  for (const [amount, largest] of [[1, 1], [3, 100], [1000, 123_456], [100_000, 5_000_000], [700_000, 10 ** 15]]) {
    const cap = payoutCapHundredths(amount, largest);
    assert.ok(BigInt(amount) * BigInt(cap) / 100n <= BigInt(largest));
    assert.ok(BigInt(amount) * BigInt(cap + 1) / 100n > BigInt(largest));
  }
});

test("multipliers of the wire become whole hundredths", () => {
  assert.equal(hundredthsOf(1.15), 115);
  assert.equal(hundredthsOf(2000), 200_000);
  assert.equal(hundredthsOf(1.01), 101);
});

test("stakes follow the limits", () => {
  assert.equal(stakeError(9, LIMITS), "stake_too_low");
  assert.equal(stakeError(10, LIMITS), null);
  assert.equal(stakeError(15, LIMITS), "stake_step");
  assert.equal(stakeError(100_010, LIMITS), "stake_too_high");
  assert.equal(stakeError(1000, { ...LIMITS, max_payout_minor: 1000 }), "stake_too_high");
  assert.equal(clampStake(15, LIMITS), 10);
  assert.equal(clampStake(5, LIMITS), 10);
  assert.equal(clampStake(10 ** 9, LIMITS), 100_000);
  const tight = { ...LIMITS, max_payout_minor: 1000 };
  assert.equal(stakeError(stakeMaxMinor(tight), tight), null);
  assert.notEqual(stakeError(stakeMaxMinor(tight) + 10, tight), null);
});

test("quick stakes are stakes, rising, none twice", () => {
  assert.deepEqual(quickStakes(LIMITS), [10, 100, 500, 1000]);
  assert.deepEqual(quickStakes({ ...LIMITS, max_bet_minor: 300 }), [10, 100, 300]);
  assert.deepEqual(quickStakes({ ...LIMITS, max_bet_minor: 10 }), [10]);
  for (const limits of [LIMITS, { ...LIMITS, bet_step_minor: 7, min_bet_minor: 7 }, { ...LIMITS, max_payout_minor: 333 }]) {
    for (const stake of quickStakes(limits)) assert.equal(stakeError(stake, limits), null, `${stake}`);
  }
});

test("gains and losses carry their sign, chips no more decimals than they need", () => {
  const money = new MoneyFormat("USD", "en");
  assert.deepEqual([150, 0, -150].map((amount) => money.signedText(amount)), ["+$1.50", "$0.00", "-$1.50"]);
  assert.deepEqual([100, 150, 123_400].map((amount) => money.shortText(amount)), ["1", "1.50", "1234"]);
  assert.equal(new MoneyFormat("JPY", "en").shortText(1500), "1500");
  const unknown = new MoneyFormat("USDT", "en");
  assert.deepEqual([150, 0, -150].map((amount) => unknown.signedText(amount)), ["+1.50 USDT", "0.00 USDT", "-1.50 USDT"]);
});

test("an automatic cash-out lies between the lowest cash-out and the largest multiplier", () => {
  assert.equal(autoCashoutError(null, LIMITS), null);
  assert.equal(autoCashoutError(101, LIMITS), null);
  assert.equal(autoCashoutError(200_000, LIMITS), null);
  assert.equal(autoCashoutError(100, LIMITS), "bad_auto_cashout");
  assert.equal(autoCashoutError(200_001, LIMITS), "bad_auto_cashout");
});

test("digits and marks as Arabic and Persian keyboards type them", () => {
  assert.equal(parseDecimal("١٥", 2), 1500);
  assert.equal(parseDecimal("۱۲٫۵", 2), 1250);
  assert.equal(parseDecimal("١٬٢٣٤٫٥٠", 2), 123_450);
});
