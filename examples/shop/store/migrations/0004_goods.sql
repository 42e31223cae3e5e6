-- Goods to begin with. A table that has rows is left alone.

INSERT INTO category (id, categoryName)
	SELECT * FROM (
		SELECT 1 AS id, '运动鞋' AS categoryName
		UNION ALL SELECT 2, '运动服'
		UNION ALL SELECT 3, '球类'
	) AS seed WHERE NOT EXISTS (SELECT 1 FROM category);

INSERT INTO brand (id, brandName, categoryId, brandLogo, hot)
	SELECT * FROM (
		SELECT 1 AS id, '追风' AS brandName, 1 AS categoryId, '/images/brand1.svg' AS brandLogo, 1 AS hot
		UNION ALL SELECT 2, '山径', 1, '/images/brand2.svg', 0
		UNION ALL SELECT 3, '晨跑', 2, '/images/brand3.svg', 1
		UNION ALL SELECT 4, '暖阳', 2, '/images/brand4.svg', 0
		UNION ALL SELECT 5, '飞球', 3, '/images/brand5.svg', 1
	) AS seed WHERE NOT EXISTS (SELECT 1 FROM brand);

INSERT INTO product (id, name, fen, image, brandId, categoryId)
	SELECT * FROM (
		SELECT 1 AS id, '轻便跑鞋' AS name, 19900 AS fen, '/images/product1.svg' AS image, 1 AS brandId, 1 AS categoryId
		UNION ALL SELECT 2, '越野跑鞋', 32900, '/images/product2.svg', 2, 1
		UNION ALL SELECT 3, '短袖运动衫', 8900, '/images/product3.svg', 3, 2
		UNION ALL SELECT 4, '连帽卫衣', 15900, '/images/product4.svg', 4, 2
		UNION ALL SELECT 5, '运动袜', 1200, '/images/product5.svg', 3, 2
		UNION ALL SELECT 6, '篮球', 12900, '/images/product6.svg', 5, 3
		UNION ALL SELECT 7, '足球', 9900, '/images/product7.svg', 5, 3
		UNION ALL SELECT 8, '羽毛球', 4500, '/images/product8.svg', 5, 3
	) AS seed WHERE NOT EXISTS (SELECT 1 FROM product);
