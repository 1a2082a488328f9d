// Prints Kafka messages as Apache Kafka's own generated classes encode them: the outside encoder that the tables in
// src/wire are held against. Messages are filled from Kafka's own schemas, so every field of every version appears.
//
// To regenerate golden-messages.jsonl (Java 17 or newer, three jars from Maven Central; slf4j-api is needed by the clients):
//
//   mvn dependency:get -Dartifact=org.apache.kafka:kafka-clients:4.1.0     (and 3.9.1: it knows versions that 4.x dropped)
//   mvn dependency:get -Dartifact=com.fasterxml.jackson.core:jackson-databind:2.19.0
//   test/wire/golden/regenerate.sh

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.NullNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.lang.reflect.ParameterizedType;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.message.ApiMessageType;
import org.apache.kafka.common.message.RequestHeaderData;
import org.apache.kafka.common.message.ResponseHeaderData;
import org.apache.kafka.common.protocol.ApiMessage;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.ObjectSerializationCache;
import org.apache.kafka.common.protocol.types.ArrayOf;
import org.apache.kafka.common.protocol.types.BoundField;
import org.apache.kafka.common.protocol.types.CompactArrayOf;
import org.apache.kafka.common.protocol.types.RawTaggedField;
import org.apache.kafka.common.protocol.types.Schema;
import org.apache.kafka.common.protocol.types.TaggedFields;
import org.apache.kafka.common.protocol.types.Type;

public class GoldenMessages {
    static final JsonNodeFactory JSON = JsonNodeFactory.instance;

    // How a message is filled. FULL: two elements, everything set. NULLS: nothing in arrays, null wherever allowed, the
    // smallest numbers. LONG: lengths that need two bytes as a varint, the largest numbers. UNKNOWN: FULL, and in every struct
    // tagged fields that no version knows.
    // DEFAULTS: one element in every array of structs, and nothing said about any other field.
    enum Variant { FULL, NULLS, LONG, UNKNOWN, DEFAULTS }

    // First argument: "key:first-last" for every API wanted. The second says which jar this is.
    public static void main(String[] arguments) throws Exception {
        for (String wanted : arguments[0].split(",")) {
            String[] parts = wanted.split("[:-]");
            ApiMessageType api = ApiMessageType.fromApiKey(Short.parseShort(parts[0]));
            for (short version = Short.parseShort(parts[1]); version <= Short.parseShort(parts[2]); version++) {
                for (boolean request : new boolean[] {true, false}) {
                    Schema[] schemas = request ? api.requestSchemas() : api.responseSchemas();
                    if (version >= schemas.length || schemas[version] == null) {
                        throw new IllegalArgumentException(api + " has no version " + version + " here");
                    }
                    boolean flexible = api.requestHeaderVersion(version) == 2;
                    for (Variant variant : Variant.values()) {
                        if (variant == Variant.UNKNOWN && !flexible) continue;
                        print(api, version, request, variant, schemas[version]);
                    }
                }
            }
        }
    }

    static void print(ApiMessageType api, short version, boolean request, Variant variant, Schema schema) throws Exception {
        ApiMessage message = request ? api.newRequest() : api.newResponse();
        JsonNode filled;
        if (variant == Variant.DEFAULTS) {
            filled = addElements(message, schema);
        } else {
            filled = new Filler(variant).fill(schema);
            Class<?> converter = Class.forName(message.getClass().getName() + "JsonConverter");
            message = (ApiMessage) converter.getMethod("read", JsonNode.class, short.class).invoke(null, filled, version);
        }
        if (variant == Variant.UNKNOWN) addUnknownTags(message);
        ObjectNode line = JSON.objectNode();
        line.put("api", api.apiKey());
        line.put("version", version);
        line.put("direction", request ? "request" : "response");
        line.put("variant", variant.name().toLowerCase());
        short headerVersion = request ? api.requestHeaderVersion(version) : api.responseHeaderVersion(version);
        line.put("header", hex(request ? requestHeader(api, version, variant) : new ResponseHeaderData().setCorrelationId(-2), headerVersion));
        line.put("body", hex(message, version));
        if (variant != Variant.UNKNOWN) line.set("value", filled);
        if (variant == Variant.FULL) nullablePaths(schema, "", line.putArray("nullable"));
        System.out.println(line);
    }

    // Which fields may be null in this version: "topics", "topics.name".
    static void nullablePaths(Schema schema, String prefix, ArrayNode paths) {
        for (BoundField field : schema.fields()) {
            if (field.def.type instanceof TaggedFields tagged) {
                for (org.apache.kafka.common.protocol.types.Field known : Filler.knownTags(tagged)) {
                    nullablePaths(known.type, prefix + camelCase(known.name), paths);
                }
            } else {
                nullablePaths(field.def.type, prefix + camelCase(field.def.name), paths);
            }
        }
    }

    static void nullablePaths(Type type, String path, ArrayNode paths) {
        if (type.isNullable()) paths.add(path);
        Type inner = type.arrayElementType().orElse(type);
        if (inner instanceof Schema struct) nullablePaths(struct, path + ".", paths);
    }

    static Message requestHeader(ApiMessageType api, short version, Variant variant) {
        return new RequestHeaderData()
            .setRequestApiKey(api.apiKey())
            .setRequestApiVersion(version)
            .setCorrelationId(0x01020304)
            .setClientId(variant == Variant.NULLS ? null : "client-é");
    }

    static String hex(Message message, short version) {
        ObjectSerializationCache cache = new ObjectSerializationCache();
        ByteBuffer buffer = ByteBuffer.allocate(message.size(cache, version));
        message.write(new ByteBufferAccessor(buffer), cache, version);
        if (buffer.hasRemaining()) throw new IllegalStateException("size and encoding disagree");
        return HexFormat.of().formatHex(buffer.array());
    }

    static void addUnknownTags(Object message) throws Exception {
        List<RawTaggedField> unknown = ((Message) message).unknownTaggedFields();
        unknown.add(new RawTaggedField(9000, new byte[] {1, 2, 3}));
        unknown.add(new RawTaggedField(9001, new byte[0]));
        for (Field field : message.getClass().getDeclaredFields()) {
            if (Modifier.isStatic(field.getModifiers())) continue;
            field.setAccessible(true);
            Object value = field.get(message);
            // A struct that is still its default is one the version lacks; to touch it would be an error.
            if (value instanceof Message && !value.equals(value.getClass().getConstructor().newInstance())) addUnknownTags(value);
            if (value instanceof Collection<?> elements) {
                for (Object element : new ArrayList<>(elements)) if (element instanceof Message) addUnknownTags(element);
            }
        }
    }

    // Puts one new element into every array of structs that the version has, and gives the same as JSON.
    @SuppressWarnings("unchecked")
    static ObjectNode addElements(Object message, Schema schema) throws Exception {
        ObjectNode node = JSON.objectNode();
        for (BoundField field : schema.fields()) {
            Type element = field.def.type.arrayElementType().orElse(null);
            if (!(element instanceof Schema elementSchema)) continue;
            String name = camelCase(field.def.name);
            Field holder = message.getClass().getDeclaredField(name);
            holder.setAccessible(true);
            ParameterizedType type = (ParameterizedType) (holder.getGenericType() instanceof ParameterizedType list
                ? list : holder.getType().getGenericSuperclass());
            Object added = ((Class<?>) type.getActualTypeArguments()[0]).getConstructor().newInstance();
            node.putArray(name).add(addElements(added, elementSchema));
            if (holder.get(message) == null) holder.set(message, new ArrayList<>());
            ((Collection<Object>) holder.get(message)).add(added);
        }
        return node;
    }

    // Values count up, so that two fields swapped by a wrong table never carry the same bytes.
    static final class Filler {
        private final Variant variant;
        private int next = 1;

        Filler(Variant variant) {
            this.variant = variant == Variant.UNKNOWN ? Variant.FULL : variant;
        }

        JsonNode fill(Schema schema) {
            ObjectNode node = JSON.objectNode();
            for (BoundField field : schema.fields()) {
                if (field.def.type instanceof TaggedFields tagged) {
                    if (variant == Variant.NULLS) continue;
                    for (org.apache.kafka.common.protocol.types.Field known : knownTags(tagged)) {
                        node.set(camelCase(known.name), value(known.type));
                    }
                } else {
                    node.set(camelCase(field.def.name), value(field.def.type));
                }
            }
            return node;
        }

        private JsonNode value(Type type) {
            if (variant == Variant.NULLS && type.isNullable()) return NullNode.getInstance();
            if (type instanceof Schema schema) return fill(schema);
            if (type instanceof ArrayOf array) return elements(array.arrayElementType().get());
            if (type instanceof CompactArrayOf array) return elements(array.arrayElementType().get());
            String name = type.toString();
            if (name.contains("STRING")) return JSON.textNode(text());
            if (name.contains("BYTES") || name.contains("RECORDS")) return JSON.binaryNode(bytes());
            switch (name) {
                case "BOOLEAN": return JSON.booleanNode(variant != Variant.NULLS);
                case "UUID": return JSON.textNode(new Uuid(0x1000_0000_0000_0000L + next++, next++).toString());
                case "INT8": return number(next++, Byte.MIN_VALUE, Byte.MAX_VALUE);
                case "INT16": return number(1000 + next++, Short.MIN_VALUE, Short.MAX_VALUE);
                case "UINT16": return number(1000 + next++, 0, 65535);
                case "INT32": return number(1_000_000 + next++, Integer.MIN_VALUE, Integer.MAX_VALUE);
                case "INT64": return number(0x0001_2345_6789_0000L + next++, Long.MIN_VALUE, Long.MAX_VALUE);
                default: throw new IllegalArgumentException("no filler for " + name);
            }
        }

        // By reflection, because 3.9 has no accessor.
        @SuppressWarnings("unchecked")
        private static Collection<org.apache.kafka.common.protocol.types.Field> knownTags(TaggedFields tagged) {
            try {
                Field fields = TaggedFields.class.getDeclaredField("fields");
                fields.setAccessible(true);
                return ((Map<Integer, org.apache.kafka.common.protocol.types.Field>) fields.get(tagged)).values();
            } catch (ReflectiveOperationException error) {
                throw new IllegalStateException(error);
            }
        }

        private JsonNode number(long ordinary, long smallest, long largest) {
            return JSON.numberNode(variant == Variant.FULL ? ordinary : variant == Variant.NULLS ? smallest : largest);
        }

        private JsonNode elements(Type element) {
            ArrayNode array = JSON.arrayNode();
            int count = variant == Variant.FULL ? 2 : variant == Variant.LONG ? 1 : 0;
            for (int index = 0; index < count; index++) array.add(value(element));
            return array;
        }

        // Every text is different: some arrays are sets that drop an element with the same key.
        private String text() {
            if (variant == Variant.NULLS) return "";
            return "té" + next++ + (variant == Variant.LONG ? "x".repeat(130) : "");
        }

        private byte[] bytes() {
            if (variant == Variant.NULLS) return new byte[0];
            byte[] bytes = new byte[variant == Variant.LONG ? 130 : 3];
            bytes[0] = (byte) (0x80 + next++);
            return bytes;
        }
    }

    static String camelCase(String snake) {
        StringBuilder camel = new StringBuilder();
        for (String word : snake.split("_")) {
            camel.append(camel.length() == 0 ? word : Character.toUpperCase(word.charAt(0)) + word.substring(1));
        }
        return camel.toString();
    }
}
