// May the person with that userName come in? One strongly consistent GetItem; prints our id of the person, or nothing.

import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { DynamoDBDocument } from "@aws-sdk/lib-dynamodb";

/** Unicode's full case folding of the composed text, composed again; of ASCII, lower case. JavaScript has none of its
 *  own: there and back per letter comes to the same, but for the dotless i and for Cherokee, which folds upwards. */
function fold(text: string): string {
  const letter = (c: string) =>
    c === "ı" ? c : /\p{Script=Cherokee}/u.test(c) ? c.toUpperCase() : c.toLowerCase().toUpperCase().toLowerCase();
  return Array.from(text.normalize("NFC"), letter).join("").normalize("NFC");
}

async function person(directory: DynamoDBDocument, tenant: string, userName: string) {
  const key = "user#" + fold(userName).replaceAll("%", "%25").replaceAll("#", "%23");
  const TableName = process.env.DIRECTORY_TABLE;
  const { Item } = await directory.get({ TableName, Key: { tenant, key }, ConsistentRead: true });
  return Item?.active === true ? Item : undefined;
}

const directory = DynamoDBDocument.from(new DynamoDBClient());
for (const userName of process.argv.slice(2)) {
  const found = await person(directory, process.env.TENANT!, userName);
  console.log(found?.id ?? "");
}
